//! Reading the values of flags, with errors that show how to write one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use jiff::Timestamp;
use reqwest::Url;

/// An instant.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "expected a date, a time and an offset, such as `2026-11-23T09:00:00Z`".to_owned())
}

/// Where to listen: an address and a port. `:9780` is every address of the machine and `localhost:9780` none but its own,
/// as the tools of this field have it.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || "expected an address and a port, such as `127.0.0.1:9780`, `[::1]:9780` or `:9780`".to_owned();
    let ip: IpAddr = match text.rsplit_once(':') {
        Some(("", _)) => Ipv4Addr::UNSPECIFIED.into(),
        Some(("localhost", _)) => Ipv4Addr::LOCALHOST.into(),
        _ => return text.parse().map_err(|_| wrong()),
    };
    let port = text.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).ok_or_else(wrong)?;
    Ok(SocketAddr::new(ip, port))
}

/// A path for the metrics that no page has.
pub(super) fn telemetry_path(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.".contains(&byte);
    let is_path = text.starts_with('/') && !text.starts_with("//") && text.bytes().all(is_plain);
    let is_taken = ["", "alerts", "plan", "style.css", "icon.svg"].contains(&text.trim_matches('/'))
        || ["/teams/", "/api/", "/-/", "/demo/"].iter().any(|folder| text.starts_with(folder));
    match (is_path, is_taken) {
        (false, _) => Err("expected a path such as `/metrics`".to_owned()),
        (true, true) => Err("a page has that path; expected another, such as `/metrics`".to_owned()),
        (true, false) => Ok(text.to_owned()),
    }
}

/// Where people reach the page, without a slash at the end.
pub(super) fn external_url(text: &str) -> Result<String, String> {
    let is_good = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    match Url::parse(text).ok().filter(is_good) {
        Some(url) => Ok(url.as_str().trim_end_matches('/').to_owned()),
        None => Err("expected a URL such as `https://fuelgauge.studio.example`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_or_answered_with_an_example() {
        for (text, expected) in [
            ("127.0.0.1:9780", Some("127.0.0.1:9780")),
            ("[::1]:0", Some("[::1]:0")),
            (":9780", Some("0.0.0.0:9780")),
            ("localhost:9780", Some("127.0.0.1:9780")),
            ("9780", None),
            ("127.0.0.1", None),
            ("studio.example:9780", None),
            (":99999", None),
            ("localhost:", None),
        ] {
            let read = listen_address(text);
            assert_eq!(read.as_ref().ok().map(ToString::to_string).as_deref(), expected, "{text}");
            assert!(read.is_ok() || read.unwrap_err().contains("such as `"), "{text}");
        }
        for (text, expected) in [
            ("/metrics", true),
            ("/fuel/metrics", true),
            ("metrics", false),
            ("/", false),
            ("//", false),
            ("/alerts", false),
            ("/alerts/", false),
            ("/teams/a", false),
            ("/-/ready", false),
            ("/{team}", false),
            ("/*all", false),
            ("", false),
        ] {
            assert_eq!(telemetry_path(text).is_ok(), expected, "{text}");
        }
        for (text, expected) in [
            ("https://fuel.example/", Some("https://fuel.example")),
            ("http://127.0.0.1:9780/fuel", Some("http://127.0.0.1:9780/fuel")),
            ("fuel.example", None),
            ("ftp://fuel.example", None),
            ("https://me:secret@fuel.example", None),
            ("https://fuel.example/?a", None),
        ] {
            assert_eq!(external_url(text).ok().as_deref(), expected, "{text}");
        }
    }
}

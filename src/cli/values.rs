//! Reading the values of flags, with errors that show how to write one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use jiff::Timestamp;
use reqwest::Url;

/// The most attempts for each asset that an estimate takes.
const MOST_ATTEMPTS: f64 = 100.0;

/// An instant.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "expected a date, a time and an offset, such as `2026-11-23T09:00:00Z`".to_owned())
}

/// How often an asset is launched: once or more.
pub(super) fn attempts(text: &str) -> Result<f64, String> {
    let attempts = text.parse().ok().filter(|attempts: &f64| (1.0..=MOST_ATTEMPTS).contains(attempts));
    attempts.ok_or_else(|| format!("expected a number from 1 to {MOST_ATTEMPTS}, such as `1.4`"))
}

/// A probability: above 0% and at most 100%.
pub(super) fn risk(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').and_then(|number| number.trim().parse().ok());
    let percent = percent.filter(|percent: &f64| *percent > 0.0 && *percent <= 100.0);
    percent.map(|percent| percent / 100.0).ok_or_else(|| "expected a percentage such as `20%`".to_owned())
}

/// The time between samples, in seconds: five minutes at most, because Prometheus takes a value for gone five minutes after
/// its last sample.
pub(super) fn step(text: &str) -> Result<u32, String> {
    let wrong = || "expected whole seconds from `1s` to `5m`; with longer steps Prometheus shows gaps".to_owned();
    let step = humantime::parse_duration(text).map_err(|_| wrong())?;
    let seconds = u32::try_from(step.as_secs()).map_err(|_| wrong())?;
    if step.subsec_nanos() == 0 && (1..=300).contains(&seconds) { Ok(seconds) } else { Err(wrong()) }
}

/// A label of a series: a name as Prometheus wants it, and a value.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let is_name = |name: &str| {
        let mut characters = name.chars();
        let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
        characters.next().is_some_and(is_first) && characters.all(|c| is_first(c) || c.is_ascii_digit())
    };
    // Names that begin with two underscores are Prometheus's own.
    match text.split_once('=').filter(|(name, value)| is_name(name) && !name.starts_with("__") && !value.is_empty()) {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("expected a name and a value, such as `job=fuelgauge`".to_owned()),
    }
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
    let is_taken = ["", "alerts", "silences", "plan", "style.css", "icon.svg"].contains(&text.trim_matches('/'))
        || ["/teams/", "/rules/", "/api/", "/-/", "/demo/"].iter().any(|folder| text.starts_with(folder));
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
            ("/silences", false),
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
    #[test]
    fn steps_and_labels_are_read_or_answered_with_an_example() {
        for (text, expected) in [
            ("5m", Some(300)),
            ("15s", Some(15)),
            ("1m 30s", Some(90)),
            ("0s", None),
            ("1500ms", None),
            ("10m", None),
            ("300", None),
        ] {
            assert_eq!(step(text).ok(), expected, "{text}");
        }
        for (text, expected) in [
            ("job=fuelgauge", Some(("job", "fuelgauge"))),
            ("instance=[::1]:9780", Some(("instance", "[::1]:9780"))),
            ("_x2=a=b \"c\"", Some(("_x2", "a=b \"c\""))),
            ("job", None),
            ("job=", None),
            ("=x", None),
            ("2x=y", None),
            ("jöb=x", None),
            ("__name__=x", None),
        ] {
            let read = label(text).ok();
            let read = read.as_ref().map(|(name, value)| (name.as_str(), value.as_str()));
            assert_eq!(read, expected, "{text}");
        }
    }
}

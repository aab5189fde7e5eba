//! HTTP that leaves this machine: what every client of ours has in common, whoever is asked or told.
//!
//! Redirects are not followed, so that nothing secret goes where nobody sent it; nothing is tried again behind our back;
//! certificates are verified; every request has an end.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, redirect, retry};

mod addresses;

pub use addresses::is_public;

/// The longest pause that whoever answers may impose.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What a client may do, and for how long.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Whether it speaks `https` alone. Otherwise it speaks `http`, and knows no authorities.
    pub is_encrypted: bool,
    /// Whether a name may lead into a private network.
    pub may_be_private: bool,
    /// Whether it goes through the proxy that the environment names. What is on this machine or in the house does not.
    pub uses_proxy: bool,
    /// More trusted authorities, beside those of the system.
    pub authorities: Vec<Certificate>,
    /// Longest time to connect, TLS included.
    pub connect_timeout: Duration,
    /// Longest silence while an answer arrives.
    pub read_timeout: Duration,
    /// Longest time from sending to the last byte.
    pub total_timeout: Duration,
}

impl ClientOptions {
    /// Makes the client; connects to nothing yet.
    ///
    /// # Errors
    /// The authorities of the system cannot be read, or those of the options are none. In words.
    pub fn build(&self) -> Result<Client, String> {
        // Whoever comes first installs the provider; that another did is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder()
            .user_agent(concat!("fuelgauge/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .https_only(self.is_encrypted)
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.read_timeout)
            .timeout(self.total_timeout);
        // Plain HTTP needs no authorities, and a client that looks for them does not build where there are none.
        let builder = match self.is_encrypted {
            true => builder.tls_certs_merge(self.authorities.iter().cloned()),
            false => builder.tls_certs_only(std::iter::empty()),
        };
        let builder = if self.uses_proxy { builder } else { builder.no_proxy() };
        let builder = match self.may_be_private {
            true => builder,
            false => builder.dns_resolver(Arc::new(addresses::PublicAddresses)),
        };
        builder.build().map_err(|error| chain(&error))
    }
}

/// `Retry-After` as seconds or as a date, at most an hour. A date is read against the answer's own `Date`, so that
/// clocks that differ do no harm.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = httpdate::parse_http_date(text).ok()?;
            let sent = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
            until.duration_since(sent.unwrap_or_else(|| now.into())).unwrap_or_default()
        }
    };
    Some(pause.min(LONGEST_RETRY_AFTER))
}

/// An error with its causes on one line.
pub fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_an_hour() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        for (text, date, expected) in [
            ("120", None, Some(120)),
            ("0", None, Some(0)),
            ("86400", None, Some(3600)),
            ("99999999999999999999999", None, None),
            ("Sun, 22 Nov 2026 10:00:30 GMT", None, Some(30)),
            ("Sun, 22 Nov 2026 09:00:00 GMT", None, Some(0)),
            ("Sun, 22 Nov 2026 23:00:00 GMT", None, Some(3600)),
            ("Sun, 22 Nov 2026 11:00:30 GMT", Some("Sun, 22 Nov 2026 11:00:00 GMT"), Some(30)),
            ("soon", None, None),
            ("-5", None, None),
        ] {
            let mut headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            headers.extend(date.map(|date| (DATE, HeaderValue::from_static(date))));
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
    }
}

//! A caught mail, read.

use fuelgauge::demo::catcher::{CaughtMail, ShownMail, show};

#[derive(Clone, Debug)]
pub struct Mail {
    /// Envelope recipients.
    pub recipients: Vec<String>,
    /// The raw message.
    pub raw: String,
    /// Decoded.
    pub shown: ShownMail,
}

impl Mail {
    pub fn read(caught: &CaughtMail) -> Mail {
        let raw = String::from_utf8(caught.bytes.clone()).expect("our mails are ASCII");
        Mail { recipients: caught.recipients.clone(), shown: show(&caught.bytes), raw }
    }

    /// A header's value, unfolded; it must be there exactly once.
    pub fn header(&self, name: &str) -> String {
        let head = self.raw.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ").replace("\r\n\t", " ");
        let prefix = format!("{}:", name.to_ascii_lowercase());
        let found: Vec<&str> =
            head.split("\r\n").filter(|line| line.to_ascii_lowercase().starts_with(&prefix)).collect();
        assert_eq!(found.len(), 1, "{name} in {head}");
        found[0][prefix.len()..].trim().to_owned()
    }

    /// What is told, such as `opened critical`.
    pub fn news(&self) -> String {
        format!("{} {}", self.header("X-Fuelgauge-State"), self.header("X-Fuelgauge-Severity"))
    }
}

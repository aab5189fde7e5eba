//! A caught mail, read.

use std::process::Stdio;

use fuelgauge::demo::catcher::{CaughtMail, ShownMail, show};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

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

/// Reads a mail with an implementation that is not ours.
pub async fn python_reads(mail: &str) -> Value {
    const READ: &str = r#"
import email, email.policy, html, json, sys
mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
parts = list(mail.walk())
defects = [str(d) for part in parts for d in part.defects]
defects += [f"{name}: {d}" for part in parts for name, value in part.items() for d in value.defects]
print(json.dumps({
    "headers": dict(mail.items()),
    "types": [part.get_content_type() for part in parts],
    "text": [html.unescape(part.get_content()) for part in parts if part.get_content_maintype() == "text"],
    "defects": defects,
}))
"#;
    let mut python = Command::new("python3")
        .args(["-c", READ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("python3 is installed by ./test");
    python.stdin.take().unwrap().write_all(mail.as_bytes()).await.unwrap();
    let output = python.wait_with_output().await.unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

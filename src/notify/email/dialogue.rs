//! The conversation with a relay: lines out, replies in, each step within its time, and all of it told to whoever
//! listens.

use std::io;
use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::TimeLimits;
use super::failure::{self, Step, printable};
use super::tls::Tls;
use crate::config::RelayConfig;
use crate::notify::NotifyError;

/// Longest reply read, all its lines together. A line has 512 bytes at most (RFC 5321, section 4.5.3.1.5); a relay that
/// talks on and on must not fill the memory.
const LONGEST_REPLY_BYTES: u64 = 64 << 10;

/// Who is told each line of the dialogue.
pub(super) struct Listener<'a>(Mutex<&'a mut (dyn FnMut(String) + Send)>);

impl<'a> Listener<'a> {
    pub(super) fn new(observe: &'a mut (dyn FnMut(String) + Send)) -> Listener<'a> {
        Listener(Mutex::new(observe))
    }

    pub(super) fn tell(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)(line);
    }
}

/// A connection, plain or encrypted.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// One conversation.
pub(super) struct Dialogue<'a> {
    relay: &'a RelayConfig,
    limits: TimeLimits,
    listener: &'a Listener<'a>,
    wire: BufReader<Box<dyn Wire>>,
    /// What was sent and must not be shown, should the relay repeat it.
    hidden: Vec<SecretString>,
    /// Whether what was to be said last has left this machine whole.
    is_said: bool,
    /// Nothing sensible can be said any more.
    is_over: bool,
}

/// What a relay says to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// 200 to 599.
    pub(super) code: u16,
    /// The texts behind the codes, fit for a log line; at least one.
    pub(super) lines: Vec<String>,
}

/// Why a step ended without a reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the relay closed the connection")]
    Closed,
    #[error("{0}")]
    Failed(#[from] io::Error),
    #[error("expected a reply of SMTP, found `{0}`")]
    NotSmtp(String),
    #[error("expected a reply of at most {LONGEST_REPLY_BYTES} bytes")]
    TooLong,
}

impl<'a> Dialogue<'a> {
    /// A conversation on a fresh connection; nothing is said yet.
    pub(super) fn new(
        relay: &'a RelayConfig,
        limits: TimeLimits,
        listener: &'a Listener<'a>,
        stream: TcpStream,
    ) -> Dialogue<'a> {
        // Every line is waited for: holding small ones back to send them together would only cost time.
        let _ = stream.set_nodelay(true);
        let wire = BufReader::new(Box::new(stream) as Box<dyn Wire>);
        Dialogue { relay, limits, listener, wire, hidden: Vec::new(), is_said: false, is_over: false }
    }

    /// The relay's first line.
    pub(super) async fn greeting(&mut self) -> Result<Reply, NotifyError> {
        self.exchange(Step::Greeting, b"").await
    }

    /// Says a line and hears the reply.
    pub(super) async fn say(&mut self, step: Step, line: &str) -> Result<Reply, NotifyError> {
        self.listener.tell(format!("> {line}"));
        self.exchange(step, format!("{line}\r\n").as_bytes()).await
    }

    /// Says a line of AUTH that nobody may see; `shown` stands for it. Should the relay repeat it, it is not shown either.
    pub(super) async fn say_hidden(&mut self, shown: &str, line: &SecretString) -> Result<Reply, NotifyError> {
        self.listener.tell(format!("> {shown}"));
        // The secret part is the last word; what comes before it is shown anyway.
        let encoded = line.expose_secret().rsplit(' ').next().unwrap_or_default();
        self.hide(&SecretString::from(encoded));
        let line = SecretString::from(format!("{}\r\n", line.expose_secret()));
        self.exchange(Step::Auth, line.expose_secret().as_bytes()).await
    }

    /// Shows a secret nowhere from now on.
    pub(super) fn hide(&mut self, secret: &SecretString) {
        if !secret.expose_secret().is_empty() {
            self.hidden.push(secret.clone());
        }
    }

    /// Sends the message with its final dot, and hears whether it was accepted.
    pub(super) async fn hand_over(&mut self, message: &[u8]) -> Result<Reply, NotifyError> {
        self.listener.tell(format!("> ({} bytes of mail, and a dot)", message.len()));
        self.exchange(Step::EndOfData, &with_final_dot(message)).await
    }

    /// Goes on encrypted.
    pub(super) async fn encrypt(mut self, tls: &Tls) -> Result<Dialogue<'a>, NotifyError> {
        if !self.wire.buffer().is_empty() {
            return Err(failure::lines_before_tls(self.relay));
        }
        let limit = self.limits.of(Step::Handshake);
        let encrypted = match timeout(limit, tls.connector.connect(tls.name.clone(), self.wire.into_inner())).await {
            Ok(Ok(encrypted)) => encrypted,
            Ok(Err(error)) => {
                self.listener.tell("(the TLS handshake failed)".to_owned());
                return Err(failure::handshake(self.relay, &error));
            }
            Err(_) => {
                self.listener.tell(format!("(no TLS within {} s)", limit.as_secs_f64()));
                return Err(failure::too_slow(self.relay, Step::Handshake, true, limit));
            }
        };
        let session = encrypted.get_ref().1;
        let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
        let cipher = session.negotiated_cipher_suite().map(|suite| suite.suite());
        let cipher = cipher.as_ref().and_then(|suite| suite.as_str()).unwrap_or("an unnamed cipher");
        let name = tls.name.to_str();
        self.listener.tell(
            format!("({version} with {cipher}; the certificate is good for `{name}`)").replace("TLSv1_", "TLS 1."),
        );
        self.wire = BufReader::new(Box::new(encrypted));
        Ok(self)
    }

    /// Takes leave. Whatever comes of it changes nothing: what there was to say has been said.
    pub(super) async fn quit(mut self) {
        if !self.is_over {
            let _ = self.say(Step::Quit, "QUIT").await;
        }
        let _ = timeout(self.limits.of(Step::Quit), self.wire.shutdown()).await;
    }

    async fn exchange(&mut self, step: Step, bytes: &[u8]) -> Result<Reply, NotifyError> {
        let limit = self.limits.of(step);
        let reply = match timeout(limit, self.write_and_read(bytes)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(broken)) => {
                self.is_over = true;
                self.listener.tell(format!("(no reply: {broken})"));
                return Err(failure::broken(self.relay, step, self.is_said, &broken));
            }
            Err(_) => {
                self.is_over = true;
                self.listener.tell(format!("(no reply within {} s)", limit.as_secs_f64()));
                return Err(failure::too_slow(self.relay, step, self.is_said, limit));
            }
        };
        for line in reply.shown(step) {
            self.listener.tell(format!("< {line}"));
        }
        // "Closing", whatever was asked (RFC 5321, section 4.2.3).
        self.is_over |= reply.code == 421;
        if reply.code >= 400 {
            Err(failure::refused(self.relay, step, &reply))
        } else if step.is_answered_by(reply.code) {
            Ok(reply)
        } else {
            self.is_over = true;
            Err(failure::unexpected(self.relay, step, &reply))
        }
    }

    async fn write_and_read(&mut self, bytes: &[u8]) -> Result<Reply, Broken> {
        self.is_said = false;
        if !bytes.is_empty() {
            self.wire.write_all(bytes).await?;
            self.wire.flush().await?;
        }
        self.is_said = true;
        let (mut reply, mut room) = (None, LONGEST_REPLY_BYTES);
        loop {
            let mut line = Vec::new();
            (&mut self.wire).take(room).read_until(b'\n', &mut line).await?;
            room -= line.len() as u64;
            if !line.ends_with(b"\n") {
                return Err(if room == 0 { Broken::TooLong } else { Broken::Closed });
            }
            // Texts in another encoding than UTF-8 are no reason not to read the code.
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            let (code, is_last, text) = parse(line).ok_or_else(|| Broken::NotSmtp(self.clean(line)))?;
            let reply = reply.get_or_insert(Reply { code, lines: Vec::new() });
            if reply.code != code {
                return Err(Broken::NotSmtp(self.clean(line)));
            }
            reply.lines.push(self.clean(text));
            if is_last {
                return Ok(reply.clone());
            }
        }
    }

    /// A foreign text without secrets, fit for a line.
    fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.hidden {
            text = text.replace(secret.expose_secret(), "<redacted>");
        }
        printable(&text)
    }
}

impl Reply {
    /// All texts in one line; an enhanced code that each repeats is said once.
    pub(super) fn text(&self) -> String {
        let mut text = self.lines.first().cloned().unwrap_or_default();
        let code = failure::enhanced_code(&text).map(str::to_owned);
        for line in self.lines.iter().skip(1) {
            let rest = code.as_ref().and_then(|code| line.strip_prefix(code.as_str())).unwrap_or(line);
            text = format!("{text} {}", rest.trim_start());
        }
        printable(&text)
    }

    /// Whether the reply to EHLO names an extension, and its parameters.
    pub(super) fn extension(&self, keyword: &str) -> Option<&str> {
        let is_it =
            |line: &&String| line.split([' ', '=']).next().is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        self.lines.iter().skip(1).find(is_it).map(|line| line[keyword.len()..].trim_start_matches([' ', '=']))
    }

    /// The lines as they came. Some relays repeat what they were sent: of the reply to a password only the codes are shown.
    fn shown(&self, step: Step) -> Vec<String> {
        let last = self.lines.len() - 1;
        let line = |(number, text): (usize, &String)| {
            let mark = if number == last { ' ' } else { '-' };
            let text = if step == Step::Auth { failure::enhanced_code(text).unwrap_or_default() } else { text };
            format!("{}{mark}{text}", self.code).trim_end().to_owned()
        };
        self.lines.iter().enumerate().map(line).collect()
    }
}

/// Code, whether it is the last line, and text. A code alone is a reply too (RFC 5321, section 4.2).
fn parse(line: &str) -> Option<(u16, bool, &str)> {
    let code: u16 = line.get(..3).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    let is_last = match line.as_bytes().get(3) {
        None | Some(b' ') => true,
        Some(b'-') => false,
        Some(_) => return None,
    };
    (200..600).contains(&code).then(|| (code, is_last, line.get(4..).unwrap_or_default()))
}

/// The message as it goes over the wire: dots at the beginning of a line doubled, the final dot behind.
fn with_final_dot(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 64);
    // After a bare line feed too: some relays take it for a line end, and a dot alone there for the end of the mail.
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            bytes.push(b'.');
        }
        bytes.extend_from_slice(line);
    }
    if !message.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b".\r\n");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_generously() {
        for (line, expected) in [
            ("250 2.0.0 Ok", Some((250, true, "2.0.0 Ok"))),
            ("250-first", Some((250, false, "first"))),
            ("250", Some((250, true, ""))),
            ("250 ", Some((250, true, ""))),
            ("599-", Some((599, false, ""))),
            ("250ok", None),
            ("25 0", None),
            ("199 x", None),
            ("600 x", None),
            ("+50 x", None),
            ("", None),
            ("22\u{fffd} x", None),
            ("HTTP/1.1 400 Bad Request", None),
        ] {
            assert_eq!(parse(line), expected, "{line}");
        }
    }

    #[test]
    fn a_reply_in_one_line_says_its_code_once() {
        let reply = |lines: &[&str]| Reply { code: 550, lines: lines.iter().map(|line| (*line).to_owned()).collect() };
        for (lines, text) in [
            (&["5.1.1 No such user", "5.1.1 here", "see https://x"][..], "5.1.1 No such user here see https://x"),
            (&["no code", "5.1.1 here"], "no code 5.1.1 here"),
            (&[""], ""),
        ] {
            assert_eq!(reply(lines).text(), text);
        }
        let ehlo = reply(&["SIZE.studio.example", "SIZE 1000", "auth=PLAIN LOGIN", "STARTTLS"]);
        for (keyword, expected) in
            [("SIZE", Some("1000")), ("AUTH", Some("PLAIN LOGIN")), ("starttls", Some("")), ("START", None)]
        {
            assert_eq!(ehlo.extension(keyword), expected, "{keyword}");
        }
    }

    #[test]
    fn dots_are_doubled_where_a_line_begins() {
        for (message, sent) in [
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            ("", "\r\n.\r\n"),
            (".\r\n..\r\na.b\r\n", "..\r\n...\r\na.b\r\n.\r\n"),
            ("a\n.\nMAIL", "a\n..\nMAIL\r\n.\r\n"),
            ("a\r\n.\r\n", "a\r\n..\r\n.\r\n"),
        ] {
            assert_eq!(String::from_utf8(with_final_dot(message.as_bytes())).unwrap(), sent, "{message:?}");
        }
    }
}

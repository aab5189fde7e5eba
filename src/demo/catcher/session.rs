//! One SMTP connection to the catcher (RFC 5321, with STARTTLS and AUTH).

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use super::reader::decode_base64;
use super::{Act, At, LARGEST_MESSAGE_BYTES, PATIENCE, Script, Shared, Tls, Wire};

/// Longest line accepted, with its end. RFC 5321 section 4.5.3.1 allows 512 for a command and 1000 for text.
const LONGEST_LINE_BYTES: usize = 1000;

/// Most recipients of one mail.
const MOST_RECIPIENTS: usize = 100;

/// Serves a connection to its end.
pub(super) async fn serve(wire: Box<dyn Wire>, script: &Script, shared: &Shared) -> io::Result<()> {
    let (wire, encrypted) = match &script.tls {
        Tls::Implicit(handshake) => (handshake(wire).await?, true),
        _ => (wire, false),
    };
    let mut session = Session {
        wire: BufReader::new(wire),
        script,
        shared,
        encrypted,
        greeted: false,
        authenticated: false,
        sender: None,
        recipients: Vec::new(),
    };
    session.run().await
}

struct Session<'a> {
    wire: BufReader<Box<dyn Wire>>,
    script: &'a Script,
    shared: &'a Shared,
    encrypted: bool,
    greeted: bool,
    authenticated: bool,
    sender: Option<String>,
    recipients: Vec<String>,
}

/// Whether the connection goes on.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    Close,
}

impl Session<'_> {
    async fn run(&mut self) -> io::Result<()> {
        if self.answer(&At::Greeting, "220 localhost fuelgauge mail catcher").await? == Next::Close {
            return Ok(());
        }
        while let Some(line) = self.read_line().await? {
            let text = String::from_utf8_lossy(&line).into_owned();
            if self.command(text.trim_end()).await? == Next::Close {
                break;
            }
        }
        self.wire.shutdown().await
    }

    async fn command(&mut self, line: &str) -> io::Result<Next> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.reset();
                self.greeted = true;
                let offer = self.offer();
                self.answer(&At::Hello, &offer).await
            }
            "HELO" => {
                self.reset();
                self.greeted = true;
                self.answer(&At::Hello, "250 localhost").await
            }
            "STARTTLS" => self.starttls().await,
            "AUTH" => self.auth(rest).await,
            "MAIL" => self.mail(rest).await,
            "RCPT" => self.recipient(rest).await,
            "DATA" => self.data().await,
            "RSET" => {
                self.reset();
                self.say("250 2.0.0 Reset").await
            }
            "NOOP" => self.say("250 2.0.0 Done").await,
            "QUIT" => {
                self.answer(&At::Quit, "221 2.0.0 Bye").await?;
                Ok(Next::Close)
            }
            _ => self.say("500 5.5.2 Unknown command").await,
        }
    }

    fn offer(&self) -> String {
        let mut lines = vec!["localhost".to_owned(), "8BITMIME".into(), format!("SIZE {LARGEST_MESSAGE_BYTES}")];
        if matches!(self.script.tls, Tls::Starttls(_)) && !self.encrypted {
            lines.push("STARTTLS".into());
        }
        if self.script.login.is_some() {
            lines.push("AUTH PLAIN LOGIN".into());
        }
        let last = lines.len() - 1;
        let with_code = |(i, line): (usize, &String)| format!("250{}{line}", if i == last { ' ' } else { '-' });
        lines.iter().enumerate().map(with_code).collect::<Vec<_>>().join("\r\n")
    }

    async fn starttls(&mut self) -> io::Result<Next> {
        let script = self.script;
        let Tls::Starttls(handshake) = &script.tls else { return self.say("502 5.5.1 Not offered").await };
        if self.encrypted {
            return self.say("503 5.5.1 Already encrypted").await;
        }
        let next = self.answer(&At::Starttls, "220 2.0.0 Go ahead").await?;
        if next == Next::Close || self.is_refused(&At::Starttls) {
            return Ok(next);
        }
        // What came before the handshake, in plain text, is forgotten with the reader's buffer.
        let (nothing, _) = tokio::io::duplex(1);
        let plain = std::mem::replace(&mut self.wire, BufReader::new(Box::new(nothing))).into_inner();
        self.wire = BufReader::new(handshake(plain).await?);
        self.encrypted = true;
        self.greeted = false;
        self.reset();
        Ok(Next::GoOn)
    }

    async fn auth(&mut self, rest: &str) -> io::Result<Next> {
        let script = self.script;
        let Some((user, password)) = &script.login else { return self.say("502 5.5.1 Not offered").await };
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let given = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let response = if initial.is_empty() { self.ask("334 ").await? } else { initial.to_owned() };
                let decoded = decode_base64(response.as_bytes());
                let mut parts = decoded.split(|byte| *byte == 0).skip(1).map(<[u8]>::to_vec);
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
            }
            "LOGIN" => {
                let given_user = self.ask("334 VXNlcm5hbWU6").await?;
                let given_password = self.ask("334 UGFzc3dvcmQ6").await?;
                (decode_base64(given_user.as_bytes()), decode_base64(given_password.as_bytes()))
            }
            _ => return self.say("504 5.5.4 Unknown mechanism").await,
        };
        self.authenticated = given == (user.as_bytes().to_vec(), password.as_bytes().to_vec());
        let reply = if self.authenticated { "235 2.7.0 Welcome" } else { "535 5.7.8 Wrong user or password" };
        self.answer(&At::Auth, reply).await
    }

    async fn ask(&mut self, challenge: &str) -> io::Result<String> {
        self.say(challenge).await?;
        let line = self.read_line().await?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    async fn mail(&mut self, rest: &str) -> io::Result<Next> {
        if !self.greeted {
            return self.say("503 5.5.1 Say EHLO first").await;
        }
        if self.script.login.is_some() && !self.authenticated {
            return self.say("530 5.7.0 Authentication required").await;
        }
        if self.sender.is_some() {
            return self.say("503 5.5.1 One mail at a time").await;
        }
        let Some((sender, parameters)) = path(rest, "FROM:") else {
            return self.say("501 5.5.4 Expected FROM:<address>").await;
        };
        let size = parameters.split(' ').find_map(|p| p.to_ascii_uppercase().strip_prefix("SIZE=")?.parse().ok());
        if size.is_some_and(|size: usize| size > LARGEST_MESSAGE_BYTES) {
            return self.say("552 5.3.4 Message too large").await;
        }
        if !self.is_refused(&At::Mail) {
            self.sender = Some(sender.to_owned());
        }
        self.answer(&At::Mail, "250 2.1.0 Sender noted").await
    }

    async fn recipient(&mut self, rest: &str) -> io::Result<Next> {
        if self.sender.is_none() {
            return self.say("503 5.5.1 Say MAIL first").await;
        }
        let Some((address, _)) = path(rest, "TO:").filter(|(address, _)| !address.is_empty()) else {
            return self.say("501 5.5.4 Expected TO:<address>").await;
        };
        if self.recipients.len() == MOST_RECIPIENTS {
            return self.say("452 4.5.3 Too many recipients").await;
        }
        let by_address = At::RecipientIs(address.to_owned());
        let at = if self.fault(&by_address).is_some() { by_address } else { At::Recipient };
        if !self.is_refused(&at) {
            self.recipients.push(address.to_owned());
        }
        self.answer(&at, "250 2.1.5 Recipient noted").await
    }

    async fn data(&mut self) -> io::Result<Next> {
        if self.recipients.is_empty() {
            return self.say("503 5.5.1 Say RCPT first").await;
        }
        if self.is_refused(&At::Data) {
            return self.answer(&At::Data, "").await;
        }
        if self.answer(&At::Data, "354 End with a dot on a line of its own").await? == Next::Close {
            return Ok(Next::Close);
        }
        let mut message = Vec::new();
        let mut too_large = false;
        loop {
            let Some(line) = self.read_line().await? else { return Ok(Next::Close) };
            if line == b".\r\n" {
                break;
            }
            let line = line.strip_prefix(b".").unwrap_or(&line);
            too_large |= message.len() + line.len() > LARGEST_MESSAGE_BYTES;
            if !too_large {
                message.extend_from_slice(line);
            }
        }
        let sender = self.sender.take().unwrap_or_default();
        let recipients = std::mem::take(&mut self.recipients);
        if too_large {
            return self.say("552 5.3.4 Message too large").await;
        }
        let of_one = recipients.iter().map(|recipient| At::EndOfDataFor(recipient.clone()));
        let of_one = of_one.into_iter().find(|at| self.fault(at).is_some());
        let at = of_one.unwrap_or(At::EndOfData);
        if !self.is_refused(&at) {
            self.shared.keep(sender, recipients, message);
        }
        self.answer(&at, "250 2.0.0 Caught").await
    }

    fn reset(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    fn fault(&self, at: &At) -> Option<&Act> {
        self.script.faults.iter().find(|(place, _)| place == at).map(|(_, act)| act)
    }

    /// Whether the script says no here.
    fn is_refused(&self, at: &At) -> bool {
        match self.fault(at) {
            Some(Act::Reply(text)) => text.starts_with(['4', '5']),
            Some(Act::Cut(bytes)) => bytes.ends_with(b"\n") && matches!(bytes.first(), Some(b'4' | b'5')),
            _ => false,
        }
    }

    /// Says `reply`, unless the script wants something else here.
    async fn answer(&mut self, at: &At, reply: &str) -> io::Result<Next> {
        match self.fault(at).cloned() {
            None => self.say(reply).await,
            Some(Act::Reply(other)) => self.say(&other).await,
            Some(Act::Bytes(bytes)) => self.send(&bytes).await,
            Some(Act::Cut(bytes)) => {
                self.send(&bytes).await?;
                Ok(Next::Close)
            }
            Some(Act::Flood(bytes)) => loop {
                self.send(&bytes).await?;
            },
            Some(Act::Dribble(pause)) => {
                for byte in format!("{reply}\r\n").bytes() {
                    tokio::time::sleep(pause).await;
                    self.send(&[byte]).await?;
                }
                Ok(Next::GoOn)
            }
            Some(Act::Close) => Ok(Next::Close),
            Some(Act::Hang) => self.hear_out().await,
        }
    }

    /// Listens without a word until the client has gone.
    async fn hear_out(&mut self) -> io::Result<Next> {
        tokio::io::copy_buf(&mut self.wire, &mut tokio::io::sink()).await?;
        Ok(Next::Close)
    }

    async fn say(&mut self, reply: &str) -> io::Result<Next> {
        self.send(format!("{reply}\r\n").as_bytes()).await
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<Next> {
        self.wire.get_mut().write_all(bytes).await?;
        self.wire.get_mut().flush().await?;
        Ok(Next::GoOn)
    }

    /// The next line with its end; `None` when the client has gone.
    async fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.wire).take(LONGEST_LINE_BYTES as u64);
        timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await??;
        if line.len() == LONGEST_LINE_BYTES && !line.ends_with(b"\n") {
            self.say("500 5.5.2 Line too long").await?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than SMTP allows"));
        }
        Ok(line.ends_with(b"\n").then_some(line))
    }
}

/// The address and the parameters of `FROM:<address> parameters`.
fn path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let rest = rest.trim_start();
    let named = rest.get(..keyword.len())?.eq_ignore_ascii_case(keyword);
    let bracketed = rest.get(keyword.len()..)?.trim_start().strip_prefix('<').filter(|_| named)?;
    bracketed.split_once('>')
}

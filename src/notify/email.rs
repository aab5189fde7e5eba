//! Mail over SMTP: one connection and one transaction for each mail, so that a refused address never holds up another.
//!
//! The dialogue is walked step by step rather than handed over whole. Each step then has its own time limit (a relay may
//! be slow only after the final dot, where a cut would make a second copy), and a failure is known by the step it
//! happened in: the same broken connection means "try again" before the final dot and "may have arrived" after it.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use secrecy::ExposeSecret;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use self::failure::{Step, configuration, permanent, transient};
use self::wire::LineByLine;
use super::{NextStep, NotifyError, NotifyFailure, after_failure};
use crate::config::{EmailConfig, RelayConfig, Security};
use crate::domain::OutboxMail;

mod failure;
#[cfg(test)]
mod tests;
mod wire;

/// Sends mails through one relay.
#[derive(Clone, Debug)]
pub struct Mailer {
    relay: RelayConfig,
    max_age: SignedDuration,
    limits: TimeLimits,
}

/// How long each step of the dialogue may take. A hung relay holds up nothing but its own mail, and not for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimits {
    /// Finding and reaching the relay, for each of its addresses.
    pub connect: Duration,
    /// Greeting with EHLO; STARTTLS with its handshake; AUTH; MAIL; RCPT: each.
    pub command: Duration,
    /// The reply to DATA.
    pub data: Duration,
    /// Sending the message, and the reply after the final dot. RFC 5321 section 4.5.3.2.6 asks for ten minutes: relays
    /// scan the message here.
    pub end_of_data: Duration,
}

impl Default for TimeLimits {
    fn default() -> TimeLimits {
        TimeLimits {
            connect: Duration::from_secs(30),
            command: Duration::from_secs(60),
            data: Duration::from_secs(120),
            end_of_data: Duration::from_secs(600),
        }
    }
}

/// How long to wait for the answer to QUIT. The mail is accepted by then; this is courtesy.
const QUIT_LIMIT: Duration = Duration::from_secs(5);

/// Longest ca_file read: a bundle of every public authority is well below it.
const LONGEST_CA_FILE_BYTES: u64 = 4 << 20;

impl Mailer {
    /// A mailer for the configured relay. Nothing is connected or read yet: password and authorities are read at each
    /// connection, so that they rotate without a restart.
    pub fn new(config: &EmailConfig) -> Mailer {
        Mailer::with_limits(config, TimeLimits::default())
    }

    /// As [`Mailer::new`], with other time limits.
    pub fn with_limits(config: &EmailConfig, limits: TimeLimits) -> Mailer {
        Mailer { relay: config.relay.clone(), max_age: config.max_age, limits }
    }

    /// Hands one mail to the relay. `Ok` means that the relay accepted it.
    ///
    /// # Errors
    /// A [`NotifyError`] with its class; [`super::after_failure`] says what to do about it.
    pub async fn send(&self, mail: &OutboxMail) -> Result<(), NotifyError> {
        self.send_observed(mail, &mut |_| ()).await
    }

    /// As [`Mailer::send`], and tells each step of the dialogue as a line of text, without secrets.
    ///
    /// # Errors
    /// As [`Mailer::send`].
    pub async fn send_observed(
        &self,
        mail: &OutboxMail,
        observe: &mut (dyn FnMut(String) + Send),
    ) -> Result<(), NotifyError> {
        let sender = parse_address("sender", &mail.sender)?;
        let recipient = parse_address("recipient", &mail.recipient)?;
        let mut connection = self.connect(observe).await?;
        self.authenticate(&mut connection, observe).await?;

        observe(format!("> MAIL FROM:<{sender}>"));
        let reply = self.step(Step::Mail, connection.command(Mail::new(Some(sender), Vec::new()))).await?;
        observe(reply_line(&reply));
        observe(format!("> RCPT TO:<{recipient}>"));
        let reply = self.step(Step::Recipient, connection.command(Rcpt::new(recipient, Vec::new()))).await?;
        observe(reply_line(&reply));
        observe("> DATA".into());
        let reply = self.step(Step::Data, connection.command(Data)).await?;
        observe(reply_line(&reply));

        // The last line end is part of the final dot, which is written by the connection.
        let message = mail.message.strip_suffix(b"\r\n").unwrap_or(&mail.message);
        observe(format!("> ({} bytes, {}) .", mail.message.len(), mail.message_id));
        let reply = self.step(Step::EndOfData, connection.message(message)).await?;
        observe(reply_line(&reply));

        let _ = timeout(QUIT_LIMIT, connection.abort()).await;
        Ok(())
    }

    /// What becomes of a mail whose try failed at `now`: see [`after_failure`].
    pub fn after_failure(
        &self,
        kind: NotifyFailure,
        attempts: u32,
        created_at: Timestamp,
        now: Timestamp,
        jitter: f64,
    ) -> NextStep {
        after_failure(kind, attempts, created_at, self.max_age, now, jitter)
    }

    async fn connect(&self, observe: &mut (dyn FnMut(String) + Send)) -> Result<AsyncSmtpConnection, NotifyError> {
        let tls = match self.relay.security {
            Security::None => None,
            Security::Starttls | Security::Implicit => Some(self.tls_parameters()?),
        };
        let mut failure = transient(format!("the relay `{}` has no address", self.name()));
        for address in self.addresses().await? {
            let connected = match (&tls, self.relay.security) {
                (Some(tls), Security::Implicit) => self.connect_wrapped(address, tls.clone()).await,
                _ => self.connect_plain(address).await,
            };
            match connected {
                Ok((mut connection, hello)) => {
                    observe(format!("connected to {address}, said EHLO {hello}"));
                    observe(format!("< {}", connection.server_info()));
                    if let (Some(tls), Security::Starttls) = (tls, self.relay.security) {
                        observe("> STARTTLS".into());
                        self.step(Step::Tls, connection.starttls(tls, &hello)).await?;
                        observe(format!("< {}", connection.server_info()));
                    }
                    return Ok(connection);
                }
                Err(error) => {
                    observe(format!("{address}: {error}"));
                    failure = error;
                }
            }
        }
        Err(failure)
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, NotifyError> {
        let lookup = timeout(self.limits.connect, lookup_host((self.relay.host.as_str(), self.relay.port))).await;
        let addresses: Vec<SocketAddr> = match lookup {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(error)) => return Err(transient(format!("failed to look up the relay `{}`: {error}", self.name()))),
            Err(_) => return Err(transient(format!("looking up the relay `{}` took too long", self.name()))),
        };
        match addresses.iter().find(|address| !address.ip().to_canonical().is_loopback()) {
            Some(address) if self.relay.security == Security::None && !self.relay.allow_plaintext => {
                Err(configuration(format!(
                    "the relay `{}` is at {}, and mail without TLS is for loopback addresses only\n\
                 hint: set `relay.security` to `starttls` or `implicit`",
                    self.name(),
                    address.ip()
                )))
            }
            _ => Ok(addresses),
        }
    }

    async fn connect_plain(&self, address: SocketAddr) -> Result<(AsyncSmtpConnection, ClientId), NotifyError> {
        let unreachable = |what: String| {
            transient(format!(
                "failed to reach the relay `{}`: {what}\nhint: does it run, and are `relay.host` and `relay.port` right?",
                self.name()
            ))
        };
        let stream = match timeout(self.limits.connect, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(error.to_string())),
            Err(_) => return Err(unreachable("no answer in time".into())),
        };
        let hello = hello_name(stream.local_addr().ok().map(|local| local.ip()));
        let stream = Box::new(LineByLine::new(stream));
        let greeting = AsyncSmtpConnection::connect_with_transport(stream, &hello);
        Ok((self.step(Step::Greeting, greeting).await?, hello))
    }

    async fn connect_wrapped(
        &self,
        address: SocketAddr,
        tls: TlsParameters,
    ) -> Result<(AsyncSmtpConnection, ClientId), NotifyError> {
        let hello = hello_name(None);
        let connecting =
            AsyncSmtpConnection::connect_tokio1(address, Some(self.limits.connect), &hello, Some(tls), None);
        let limit = self.limits.connect + self.limits.command;
        Ok((self.within(limit, Step::Greeting, connecting).await?, hello))
    }

    fn tls_parameters(&self) -> Result<TlsParameters, NotifyError> {
        let mut builder = TlsParameters::builder(self.relay.server_name.as_ref().unwrap_or(&self.relay.host).clone());
        if let Some(path) = &self.relay.ca_file {
            let wrong = |what: String| {
                configuration(format!(
                    "failed to read the authorities in `relay.ca_file` `{}`: {what}\n\
                     hint: it holds PEM certificates (BEGIN CERTIFICATE)",
                    path.display()
                ))
            };
            let length = fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
            if length > LONGEST_CA_FILE_BYTES {
                return Err(wrong(format!("expected at most {LONGEST_CA_FILE_BYTES} bytes, found {length}")));
            }
            let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
            if !pem.windows(17).any(|window| window == b"BEGIN CERTIFICATE") {
                return Err(wrong("no certificate in it".into()));
            }
            let certificate = Certificate::from_pem(&pem).map_err(|error| wrong(error.to_string()))?;
            builder = builder.add_root_certificate(certificate);
        }
        builder.build().map_err(|error| configuration(format!("failed to set up TLS: {error}")))
    }

    async fn authenticate(
        &self,
        connection: &mut AsyncSmtpConnection,
        observe: &mut (dyn FnMut(String) + Send),
    ) -> Result<(), NotifyError> {
        let (Some(username), Some(file)) = (&self.relay.username, &self.relay.password_file) else { return Ok(()) };
        if self.relay.security == Security::None {
            return Err(configuration(format!(
                "the relay `{}` is used without TLS, and a password is sent over TLS only\n\
                 hint: remove `relay.username`, or set `relay.security`",
                self.name()
            )));
        }
        let password = file.read().map_err(|error| configuration(error.to_string()))?;
        let credentials = Credentials::new(username.clone(), password.expose_secret().to_owned());
        observe(format!("> AUTH as `{username}` (password not shown)"));
        self.step(Step::Auth, connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials)).await?;
        observe("< authenticated".into());
        Ok(())
    }

    async fn step<T>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
    ) -> Result<T, NotifyError> {
        let limit = match step {
            Step::Greeting | Step::Tls | Step::Auth | Step::Mail | Step::Recipient => self.limits.command,
            Step::Data => self.limits.data,
            Step::EndOfData => self.limits.end_of_data,
        };
        self.within(limit, step, work).await
    }

    async fn within<T>(
        &self,
        limit: Duration,
        step: Step,
        work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
    ) -> Result<T, NotifyError> {
        match timeout(limit, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(failure::describe(&self.name(), step, &error)),
            Err(_) => Err(failure::too_slow(&self.name(), step, limit)),
        }
    }

    fn name(&self) -> String {
        format!("{}:{}", self.relay.host, self.relay.port)
    }
}

fn parse_address(what: &str, text: &str) -> Result<Address, NotifyError> {
    let wrong = |expected: &str| Err(permanent(format!("the {what} `{text}` cannot be used: expected {expected}")));
    match text.parse::<Address>() {
        Ok(_) if !text.is_ascii() => wrong("ASCII only (an international domain in its `xn--` form)"),
        Ok(address) => Ok(address),
        Err(_) => wrong("an address such as `name@domain`"),
    }
}

/// The machine's full name if it has one, else the address it speaks from: relays refuse half names (RFC 5321, section
/// 4.1.4).
fn hello_name(local: Option<IpAddr>) -> ClientId {
    match (ClientId::default(), local.map(|ip| ip.to_canonical())) {
        (ClientId::Domain(name), _) if is_full_domain(&name) => ClientId::Domain(name),
        (_, Some(IpAddr::V4(ip))) => ClientId::Ipv4(ip),
        (_, Some(IpAddr::V6(ip))) => ClientId::Ipv6(ip),
        (_, None) => ClientId::Ipv4(std::net::Ipv4Addr::LOCALHOST),
    }
}

fn is_full_domain(name: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    name.contains('.') && name.len() < 254 && name.split('.').all(is_label)
}

fn reply_line(reply: &Response) -> String {
    failure::printable(&format!("< {} {}", reply.code(), reply.message().collect::<Vec<_>>().join(" / ")))
}

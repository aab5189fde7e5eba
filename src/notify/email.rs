//! Mail over SMTP: one connection and one transaction for each mail, so that a refused address never holds up another.
//!
//! The dialogue is walked step by step rather than handed over whole. Each step then has its own time limit (a relay may
//! be slow only after the final dot, where a cut would make a second copy), and a failure is known by the step it
//! happened in: the same broken connection means "try again" before the final dot and "may have arrived" after it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::SignedDuration;
use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::Auth;
use lettre::transport::smtp::extension::ClientId;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use self::dialogue::{Dialogue, Listener, Reply};
use self::failure::{Step, configuration, permanent, transient, unreachable};
use self::tls::Tls;
use super::NotifyError;
use crate::config::{EmailConfig, RelayConfig, Security};
use crate::domain::OutboxMessage;

mod dialogue;
mod failure;
#[cfg(test)]
mod tests;
mod tls;

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
    /// Finding the relay, and reaching it at each of its addresses.
    pub connect: Duration,
    /// The greeting; EHLO; STARTTLS; the handshake; AUTH; MAIL; RCPT: each.
    pub command: Duration,
    /// The reply to DATA.
    pub data: Duration,
    /// All of the above together.
    pub before_message: Duration,
    /// Sending the message, and the reply after the final dot. RFC 5321 section 4.5.3.2.6 asks for ten minutes: relays
    /// scan the message here.
    pub end_of_data: Duration,
    /// The answer to QUIT. What became of the mail is known by then; this is courtesy.
    pub quit: Duration,
}

impl Default for TimeLimits {
    fn default() -> TimeLimits {
        TimeLimits {
            connect: Duration::from_secs(30),
            command: Duration::from_secs(60),
            data: Duration::from_secs(120),
            before_message: Duration::from_secs(240),
            end_of_data: Duration::from_secs(600),
            quit: Duration::from_secs(5),
        }
    }
}

impl TimeLimits {
    /// The longest that one mail can take: whoever claims mails for sending holds them longer than this.
    pub fn longest(&self) -> Duration {
        // QUIT, and then the connection is closed.
        self.before_message + self.end_of_data + self.quit * 2
    }

    fn of(&self, step: Step) -> Duration {
        match step {
            Step::Data => self.data,
            Step::EndOfData => self.end_of_data,
            Step::Quit => self.quit,
            _ => self.command,
        }
    }
}

/// How many of the relay's addresses are tried for one mail.
const MOST_ADDRESSES: usize = 4;

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
    pub async fn send(&self, mail: &OutboxMessage) -> Result<(), NotifyError> {
        self.send_observed(mail, &mut |line| tracing::trace!("{line}")).await
    }

    /// As [`Mailer::send`], and tells each line of the dialogue as it is said, without secrets.
    ///
    /// # Errors
    /// As [`Mailer::send`].
    pub async fn send_observed(
        &self,
        mail: &OutboxMessage,
        observe: &mut (dyn FnMut(String) + Send),
    ) -> Result<(), NotifyError> {
        let sender = parse_address("sender", &mail.sender)?;
        let recipient = parse_address("recipient", &mail.recipient)?;
        let listener = Listener::new(observe);
        let limit = self.limits.before_message;
        let mut dialogue = match timeout(limit, self.up_to_data(&sender, &recipient, &listener)).await {
            Ok(dialogue) => dialogue?,
            Err(_) => {
                let seconds = limit.as_secs_f64();
                return Err(transient(format!(
                    "the relay `{}` did not ask for the mail within {seconds} s",
                    self.name()
                )));
            }
        };
        let accepted = dialogue.hand_over(&mail.message).await;
        dialogue.quit().await;
        accepted.map(|_| ())
    }

    /// How long a mail is tried for.
    pub fn max_age(&self) -> SignedDuration {
        self.max_age
    }

    /// Everything up to the relay's "go ahead". A relay that says no is taken leave of.
    async fn up_to_data<'a>(
        &'a self,
        sender: &Address,
        recipient: &Address,
        listener: &'a Listener<'a>,
    ) -> Result<Dialogue<'a>, NotifyError> {
        let mut dialogue = self.connect(listener).await?;
        match self.envelope(&mut dialogue, sender, recipient).await {
            Ok(()) => Ok(dialogue),
            Err(error) => {
                dialogue.quit().await;
                Err(error)
            }
        }
    }

    async fn envelope(
        &self,
        dialogue: &mut Dialogue<'_>,
        sender: &Address,
        recipient: &Address,
    ) -> Result<(), NotifyError> {
        dialogue.say(Step::Mail, &format!("MAIL FROM:<{sender}>")).await?;
        dialogue.say(Step::Recipient, &format!("RCPT TO:<{recipient}>")).await?;
        dialogue.say(Step::Data, "DATA").await?;
        Ok(())
    }

    /// Ready for the envelope: connected, encrypted as configured, logged in.
    async fn connect<'a>(&'a self, listener: &'a Listener<'a>) -> Result<Dialogue<'a>, NotifyError> {
        let tls = match self.relay.security {
            Security::None => None,
            Security::Starttls | Security::Implicit => Some(Tls::new(&self.relay)?),
        };
        let login = self.login()?;
        let (mut dialogue, mut offer, hello) = self.reach(tls.as_ref(), listener).await?;
        if let (Some(tls), Security::Starttls) = (&tls, self.relay.security) {
            if offer.extension("STARTTLS").is_none() {
                dialogue.quit().await;
                return Err(failure::no_starttls(&self.relay));
            }
            if let Err(error) = dialogue.say(Step::Starttls, "STARTTLS").await {
                dialogue.quit().await;
                return Err(error);
            }
            dialogue = dialogue.encrypt(tls).await?;
            // What was offered in plain text counts no longer: anybody may have offered it.
            offer = dialogue.say(Step::Hello, &format!("EHLO {hello}")).await?;
        }
        if let Some((username, password)) = login
            && let Err(error) = self.log_in(&mut dialogue, &offer, username, &password).await
        {
            dialogue.quit().await;
            return Err(error);
        }
        Ok(dialogue)
    }

    /// Greeted by the first of the relay's addresses that does; with `implicit`, encrypted.
    async fn reach<'a>(
        &'a self,
        tls: Option<&Tls>,
        listener: &'a Listener<'a>,
    ) -> Result<(Dialogue<'a>, Reply, ClientId), NotifyError> {
        // What an address said tells more than that another is silent.
        let (mut refusal, mut silence) = (None, None);
        for address in self.addresses().await? {
            listener.tell(format!("connecting to {address}"));
            match self.connect_to(address).await {
                Ok(stream) => match self.be_greeted(stream, tls, listener).await {
                    Ok(greeted) => return Ok(greeted),
                    Err(error) => refusal = refusal.or(Some(error)),
                },
                Err(what) => {
                    listener.tell(format!("(no connection: {what})"));
                    silence = silence.or(Some(unreachable(&self.relay, &what)));
                }
            }
        }
        let nowhere = || transient(format!("the relay `{}` has no address", self.name()));
        Err(refusal.or(silence).unwrap_or_else(nowhere))
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, NotifyError> {
        let lookup = timeout(self.limits.connect, lookup_host((self.relay.host.as_str(), self.relay.port))).await;
        let failed = |what: &str| {
            transient(format!(
                "failed to look up the relay `{}`: {what}\nhint: is `relay.host` right, and does this machine find names?",
                self.name()
            ))
        };
        let mut addresses: Vec<SocketAddr> = match lookup {
            Ok(Ok(addresses)) => addresses.collect(),
            // The library's words for it are our own.
            Ok(Err(error)) => {
                let what = error.to_string();
                return Err(failed(what.trim_start_matches("failed to lookup address information: ")));
            }
            Err(_) => return Err(failed("no answer in time")),
        };
        addresses.truncate(MOST_ADDRESSES);
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

    /// A connection, or why there is none.
    async fn connect_to(&self, address: SocketAddr) -> Result<TcpStream, String> {
        let limit = self.limits.connect;
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", limit.as_secs_f64())),
        }
    }

    async fn be_greeted<'a>(
        &'a self,
        stream: TcpStream,
        tls: Option<&Tls>,
        listener: &'a Listener<'a>,
    ) -> Result<(Dialogue<'a>, Reply, ClientId), NotifyError> {
        let hello = hello_name(stream.local_addr().ok().map(|local| local.ip()));
        let mut dialogue = Dialogue::new(&self.relay, self.limits, listener, stream);
        if let (Some(tls), Security::Implicit) = (tls, self.relay.security) {
            dialogue = dialogue.encrypt(tls).await?;
        }
        let greeted = match dialogue.greeting().await {
            Ok(_) => dialogue.say(Step::Hello, &format!("EHLO {hello}")).await,
            Err(error) => Err(error),
        };
        match greeted {
            Ok(offer) => Ok((dialogue, offer, hello)),
            Err(error) => {
                dialogue.quit().await;
                Err(error)
            }
        }
    }

    /// User and password, if the relay wants them. The password is never sent in plain text, whatever is allowed.
    fn login(&self) -> Result<Option<(&str, SecretString)>, NotifyError> {
        let (Some(username), Some(file)) = (&self.relay.username, &self.relay.password_file) else { return Ok(None) };
        if self.relay.security == Security::None {
            return Err(configuration(format!(
                "the relay `{}` is used without TLS, and a password is sent over TLS only\n\
                 hint: remove `relay.username`, or set `relay.security`",
                self.name()
            )));
        }
        let password = file.read().map_err(|error| configuration(error.to_string()))?;
        Ok(Some((username, password)))
    }

    async fn log_in(
        &self,
        dialogue: &mut Dialogue<'_>,
        offer: &Reply,
        username: &str,
        password: &SecretString,
    ) -> Result<(), NotifyError> {
        let offered = offer.extension("AUTH");
        let is_offered = |name: &&Mechanism| {
            offered.is_some_and(|all| all.split(' ').any(|m| m.eq_ignore_ascii_case(&name.to_string())))
        };
        let Some(mechanism) = [Mechanism::Plain, Mechanism::Login].iter().find(is_offered) else {
            return Err(failure::no_mechanism(&self.relay, offered));
        };
        dialogue.hide(password);
        for (shown, line) in auth_lines(*mechanism, username, password) {
            let reply = match &line {
                Some(line) => dialogue.say_hidden(&shown, line).await?,
                None => dialogue.say(Step::Auth, &shown).await?,
            };
            if reply.code != 334 {
                return Ok(());
            }
        }
        Err(configuration(format!(
            "the relay `{}` asked for more than user and password at AUTH\nhint: fuelgauge knows PLAIN and LOGIN",
            self.name()
        )))
    }

    fn name(&self) -> String {
        self.relay.address()
    }
}

/// What is said at AUTH: what may be shown of each line, and the line if it is not just that.
fn auth_lines(mechanism: Mechanism, username: &str, password: &SecretString) -> Vec<(String, Option<SecretString>)> {
    let line = |challenge: Option<&str>| {
        let credentials = Credentials::new(username.to_owned(), password.expose_secret().to_owned());
        let auth = Auth::new(mechanism, credentials, challenge.map(str::to_owned));
        // The challenges are our own, so each is known.
        Some(SecretString::from(auth.map(|auth| auth.to_string().trim_end().to_owned()).unwrap_or_default()))
    };
    match mechanism {
        Mechanism::Plain => vec![(format!("AUTH PLAIN (as `{username}`; the password is not shown)"), line(None))],
        _ => vec![
            ("AUTH LOGIN".to_owned(), None),
            (format!("(the user, `{username}`)"), line(Some("Username:"))),
            ("(the password, which is not shown)".to_owned(), line(Some("Password:"))),
        ],
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

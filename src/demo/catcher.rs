//! A mail catcher: a real SMTP server on loopback that delivers nothing and keeps what it is given, for the demo and for
//! tests. Tests can also tell it to misbehave at a chosen step.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

pub use self::reader::{Picture, ShownMail, show};

mod reader;
mod session;
#[cfg(test)]
mod tests;

/// Mails kept; with more, the oldest is forgotten.
pub const LONGEST_MEMORY: usize = 500;

/// Largest message accepted, in bytes.
pub const LARGEST_MESSAGE_BYTES: usize = 1_000_000;

/// Connections served at once; more wait.
const MOST_CONNECTIONS: usize = 64;

/// How long a silent client is kept.
const PATIENCE: Duration = Duration::from_secs(300);

/// The running catcher. Dropping it closes the door; open connections end by themselves.
#[derive(Debug)]
pub struct Catcher {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// One mail as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaughtMail {
    /// Counts the mails caught, from 1.
    pub received_at_order: u64,
    /// Envelope sender.
    pub sender: String,
    /// Envelope recipients, in the order given.
    pub recipients: Vec<String>,
    /// The message, dots unstuffed.
    pub bytes: Vec<u8>,
}

/// How the catcher behaves. The default accepts everything, in plain text.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Where it misbehaves and how. The first that fits counts.
    pub faults: Vec<(At, Act)>,
    /// Asks for AUTH PLAIN or LOGIN with this user and password before MAIL.
    pub login: Option<(String, String)>,
    /// Whether and when TLS begins.
    pub tls: Tls,
}

/// A step of the dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// The first line.
    Greeting,
    /// EHLO and HELO.
    Hello,
    /// STARTTLS.
    Starttls,
    /// AUTH.
    Auth,
    /// MAIL.
    Mail,
    /// RCPT, whoever it is.
    Recipient,
    /// RCPT of this address.
    RecipientIs(String),
    /// DATA.
    Data,
    /// The final dot. Unless a message is refused here, by a reply of 400 or more, it is caught whatever happens: the
    /// sender cannot know.
    EndOfData,
    /// The final dot of a mail to this address.
    EndOfDataFor(String),
    /// QUIT.
    Quit,
}

/// A way to misbehave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Says this instead (without the last line end). With a code of 400 or more, what was asked is not done.
    Reply(String),
    /// Sends these bytes instead, just as they are, and goes on as if nothing were amiss.
    Bytes(Vec<u8>),
    /// Sends these bytes and closes the connection. A whole reply of 400 or more refuses what was asked.
    Cut(Vec<u8>),
    /// Sends these bytes again and again, for as long as anybody takes them.
    Flood(Vec<u8>),
    /// Says what is due, a byte at a time, with this pause before each.
    Dribble(Duration),
    /// Never says anything again.
    Hang,
    /// Closes the connection without a word.
    Close,
}

/// Whether and when TLS begins.
#[derive(Clone, Default)]
pub enum Tls {
    /// Never, and STARTTLS is not offered.
    #[default]
    Never,
    /// After STARTTLS. The function does the server's side of the handshake.
    Starttls(Handshake),
    /// From the first byte.
    Implicit(Handshake),
}

/// The server's side of a TLS handshake.
pub type Handshake = Arc<dyn Fn(Box<dyn Wire>) -> BoxFuture<'static, io::Result<Box<dyn Wire>>> + Send + Sync>;

/// A connection, plain or encrypted.
pub trait Wire: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Wire for T {}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Tls::Never => "Never",
            Tls::Starttls(_) => "Starttls",
            Tls::Implicit(_) => "Implicit",
        })
    }
}

#[derive(Debug)]
struct Shared {
    script: Mutex<Arc<Script>>,
    caught: watch::Sender<Memory>,
    connections: Semaphore,
}

#[derive(Debug, Default)]
struct Memory {
    count: u64,
    mails: Vec<Arc<CaughtMail>>,
}

impl Catcher {
    /// Listens on `address` (port 0 takes a free one) and starts catching.
    ///
    /// # Errors
    /// The address is in use, or is no loopback address: the catcher takes mail from anybody who reaches it.
    pub async fn bind(address: SocketAddr) -> io::Result<Catcher> {
        if !address.ip().is_loopback() {
            let message = format!("expected a loopback address for the mail catcher, found `{address}`");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Mutex::default(),
            caught: watch::Sender::new(Memory::default()),
            connections: Semaphore::new(MOST_CONNECTIONS),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Catcher { address, shared, accepting })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// How connections that begin from now on are treated.
    pub fn set_script(&self, script: Script) {
        *lock(&self.shared.script) = Arc::new(script);
    }

    /// The mails kept, oldest first.
    pub fn caught(&self) -> Vec<Arc<CaughtMail>> {
        self.shared.caught.borrow().mails.clone()
    }

    /// Waits until `count` mails have been caught since the start, and returns the mails kept.
    pub async fn wait_for(&self, count: u64) -> Vec<Arc<CaughtMail>> {
        let mut memory = self.shared.caught.subscribe();
        // The sender lives as long as the catcher, which this future borrows: the wait cannot fail.
        let _ = memory.wait_for(|memory| memory.count >= count).await;
        self.caught()
    }
}

impl Drop for Catcher {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn keep(&self, sender: String, recipients: Vec<String>, bytes: Vec<u8>) {
        self.caught.send_modify(|memory| {
            memory.count += 1;
            if memory.mails.len() == LONGEST_MEMORY {
                memory.mails.remove(0);
            }
            memory.mails.push(Arc::new(CaughtMail { received_at_order: memory.count, sender, recipients, bytes }));
        });
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let Ok(_permit) = shared.connections.acquire().await else { return };
                    let script = Arc::clone(&lock(&shared.script));
                    if let Err(error) = session::serve(Box::new(stream), &script, &shared).await {
                        tracing::debug!(%error, "a connection to the mail catcher ended early");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the mail catcher failed to accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done under this lock, so a poisoned one is as good as new.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

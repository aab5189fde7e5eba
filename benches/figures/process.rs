//! Programs under measurement, and a small HTTP client to ask them with.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// The binary under measurement.
pub const FUELGAUGE: &str = env!("CARGO_BIN_EXE_fuelgauge");

/// Clock ticks in a second, as the kernel counts processor time for user space.
const TICKS_PER_SECOND: f64 = 100.0;

/// A program that runs until it is dropped.
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts a program. What it says goes to a file of the same name in `folder`.
    pub fn start(mut command: Command, folder: &Path) -> anyhow::Result<Running> {
        let program = command.get_program().to_owned();
        let name = Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let log = std::fs::File::create(folder.join(format!("{name}.log")))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("failed to start `{name}`"))?;
        Ok(Running { child })
    }

    /// Waits until `address` answers `GET path` with 200.
    pub fn wait_for(&mut self, address: SocketAddr, path: &str) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                bail!("the program ended with {status} before it was ready");
            }
            if Client::connect(address).and_then(|mut client| client.get(path, false)).is_ok_and(|a| a.status == 200) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        bail!("the program is not ready after a minute");
    }

    /// Resident memory now, and the most there has been, in KiB.
    pub fn resident_kib(&self) -> anyhow::Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).context("no such field")
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Processor time used so far.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, in parentheses, may hold anything; the fields are counted behind it.
        let (_, fields) = stat.rsplit_once(") ").context("no process name")?;
        let ticks = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap_or(0.0));
        Ok(Duration::from_secs_f64(ticks.sum::<f64>() / TICKS_PER_SECOND))
    }

    /// Asks it to stop as a service manager does, and waits.
    pub fn stop(mut self) -> anyhow::Result<()> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already if either fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `fuelgauge serve` with a configuration, not started yet.
pub fn serve(config: &Path, address: SocketAddr) -> Command {
    let mut command = Command::new(FUELGAUGE);
    command.arg("serve").arg("--config.file").arg(config).arg(format!("--web.listen-address={address}"));
    command
}

/// Runs a program to its end, and says how long it took.
pub fn run(command: &mut Command, input: &str) -> anyhow::Result<(Duration, String)> {
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let took = begun.elapsed();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() || !complained.is_empty() {
        bail!("{command:?} ended with {}: {complained}", output.status);
    }
    Ok((took, said.into_owned()))
}

/// The first of these programs that is installed.
pub fn installed(names: &[&'static str]) -> Option<&'static str> {
    let path = std::env::var_os("PATH")?;
    let is_there = |name: &&str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    names.iter().copied().find(is_there)
}

/// A port that nobody listens on at the moment.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// One connection that is kept open.
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> std::io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Client { stream: BufReader::with_capacity(1 << 16, stream) })
    }

    /// Asks for a path and reads the whole answer, still packed if it is.
    pub fn get(&mut self, path: &str, is_packed: bool) -> std::io::Result<Answer> {
        let accept = if is_packed { "Accept-Encoding: gzip\r\n" } else { "" };
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = number(value, 10)?;
            }
            is_chunked |= line == "transfer-encoding: chunked";
        }
        let mut body = Vec::new();
        if !is_chunked {
            self.take(length, &mut body)?;
            return Ok(Answer { status, body });
        }
        loop {
            let size = number(&self.line()?, 16)?;
            self.take(size, &mut body)?;
            self.line()?;
            if size == 0 {
                return Ok(Answer { status, body });
            }
        }
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn take(&mut self, length: u64, body: &mut Vec<u8>) -> std::io::Result<()> {
        let read = self.stream.by_ref().take(length).read_to_end(body)?;
        if read as u64 == length { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }
}

fn number(text: &str, radix: u32) -> std::io::Result<u64> {
    u64::from_str_radix(text, radix).map_err(|_| ErrorKind::InvalidData.into())
}

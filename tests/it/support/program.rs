//! The built program, run as people and service managers run it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Waits for something inside this machine, looking every few milliseconds: for moments that pass quickly.
pub async fn promptly<T>(name: &str, mut what: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        if let Some(found) = what().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("waited half a minute in vain for {name}");
}

/// A folder in which somebody works with fuelgauge: `config/fuelgauge.yml` is found without a flag, and the ledger lies
/// beside it.
pub struct Studio {
    folder: TempDir,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Studio {
    pub fn new() -> Studio {
        let folder = tempfile::tempdir().unwrap();
        for name in ["config", "tmp"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Studio { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn ledger(&self) -> PathBuf {
        self.path().join("fuelgauge.db")
    }

    /// Writes a file, readable by its owner alone; folders between are made.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// The names of what commands have left among the temporary files.
    pub fn left_in_temporary_folder(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.path().join("tmp")).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    pub fn configure(&self, text: &str) {
        self.write("config/fuelgauge.yml", text);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fuelgauge"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null()).kill_on_drop(true);
        // A machine that traces every panic must not change what people read.
        command.env("TMPDIR", self.path().join("tmp")).env_remove("RUST_BACKTRACE").env_remove("RUST_LOG");
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().await.unwrap();
        Ended {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts a command whose output goes to files.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let path = |name: &str| self.path().join(name);
        let file = |name: &str| std::fs::File::create(path(name)).unwrap();
        let child = self.command(arguments).stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        Running { child, stdout: path("stdout"), stderr: path("stderr") }
    }

    /// Starts the agent on a free port; it listens when this returns.
    pub async fn serve(&self) -> Agent {
        let running = self.start(&["serve", "--web.listen-address=127.0.0.1:0"]);
        let mut agent = Agent { running, url: String::new() };
        agent.url = promptly("the agent to listen", async || {
            agent.running.expect_alive();
            let log = agent.running.stderr();
            let (_, rest) = log.split_once("listening on ")?;
            let (url, _) = rest.split_once(char::is_whitespace)?;
            Some(url.trim_end_matches('/').to_owned())
        })
        .await;
        agent
    }
}

impl Ended {
    /// The code must be that one; what was printed explains a difference.
    #[track_caller]
    pub fn expect(self, code: i32) -> Ended {
        assert_eq!(self.code, Some(code), "\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }

    /// Standard output as JSON: a log line in it, and this fails.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// The error must hold each of these.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Ended {
        for part in parts {
            assert!(self.err.contains(part), "expected `{part}` in:\n{}", self.err);
        }
        self
    }
}

/// A command under way.
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    pub fn stdout(&self) -> String {
        std::fs::read_to_string(&self.stdout).unwrap()
    }

    pub fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap()
    }

    /// An end that nobody asked for fails the test at once, with its reason.
    pub fn expect_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("ended with {status}:\n{}", self.stderr());
        }
    }

    /// Ends it as a power cut would.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    pub async fn signal(&self, name: &str) {
        let process = self.child.id().expect("it still runs").to_string();
        let status = Command::new("kill").args(["-s", name, &process]).status().await.unwrap();
        assert!(status.success());
    }

    /// Asks it to stop and waits for its end, at most so long.
    pub async fn stop(mut self, signal: &str, within: Duration) -> Ended {
        self.signal(signal).await;
        let status = tokio::time::timeout(within, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("it still runs {within:?} after {signal}:\n{}", self.stderr()));
        Ended { code: status.unwrap().code(), out: self.stdout(), err: self.stderr() }
    }
}

/// A serving agent.
pub struct Agent {
    pub running: Running,
    pub url: String,
}

impl Agent {
    /// The address without the scheme, as scrape configurations want it.
    pub fn target(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Waits until the ledger is loaded, which is before the first poll.
    pub async fn ready(&self) {
        let url = format!("{}/-/ready", self.url);
        let is_ready = async || super::get(&url).await.ok().filter(|(status, _)| *status == 200);
        promptly("the agent to be ready", is_ready).await;
    }

    /// Every sample of a scrape: name and labels as written, and the value.
    pub async fn scrape(&self) -> BTreeMap<String, f64> {
        let (status, text) = super::get(&format!("{}/metrics", self.url)).await.unwrap();
        assert_eq!(status, 200, "{text}");
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').unwrap();
                (series.to_owned(), value.parse().unwrap())
            })
            .collect()
    }

    /// The sum over the series of a family.
    pub async fn sum(&self, family: &str) -> f64 {
        sum(&self.scrape().await, family)
    }

    /// What the agent says of itself.
    pub async fn status(&self) -> serde_json::Value {
        let (_, text) = super::get(&format!("{}/api/v1/status", self.url)).await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until every account was polled and assessed since that moment, and every collector succeeded.
    pub async fn polled_since(&self, since: Timestamp) {
        let since = Timestamp::from_millisecond(since.as_millisecond()).unwrap();
        super::servers::eventually("a poll that reads everything", async || {
            let status = self.status().await;
            let accounts = status["accounts"].as_array()?;
            let collectors = accounts.iter().flat_map(|account| account["collectors"].as_array().unwrap());
            let successes: Vec<Option<Timestamp>> =
                collectors.map(|collector| collector["last_success_at"].as_str()?.parse().ok()).collect();
            let is_done = !successes.is_empty() && successes.iter().all(|at| at.is_some_and(|at| at >= since));
            is_done.then_some(())
        })
        .await;
    }
}

/// The sum over the series of a family.
pub fn sum(samples: &BTreeMap<String, f64>, family: &str) -> f64 {
    let of_family = |name: &str| name.split('{').next() == Some(family);
    samples.iter().filter(|(name, _)| of_family(name)).map(|(_, value)| value).sum()
}

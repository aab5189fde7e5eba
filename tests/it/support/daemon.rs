//! The program itself, as a process.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::scrape::Scrape;
use super::servers::{Process, eventually, free_port};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fuelgauge");

/// Runs a command to its end. To be called where the runtime has threads to spare: servers of the test answer meanwhile.
pub fn run(config: &Path, arguments: &[&str]) -> Output {
    let (command, rest) = arguments.split_first().unwrap();
    let output = Command::new(PROGRAM).arg(command).arg("--config.file").arg(config).args(rest).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    output
}

/// A running `serve`.
pub struct Daemon {
    pub url: String,
    process: Process,
    log: PathBuf,
}

impl Daemon {
    /// Serves with everything logged, and waits until it is ready.
    pub async fn serve(config: &Path) -> Daemon {
        let daemon = Daemon::spawn(config, Command::new(PROGRAM));
        daemon.ready().await
    }

    /// As [`Daemon::serve`], on a disk of so many KiB of its own in place of `folder`. It lives in a mount namespace that
    /// ends with the process; its files are reached by [`Daemon::inside`].
    pub async fn serve_on_small_disk(config: &Path, folder: &Path, kibibytes: u32) -> Daemon {
        let mut command = Command::new("unshare");
        let script = format!("mount -t tmpfs -o size={kibibytes}k none \"$0\" && exec \"$@\"");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script]).arg(folder).arg(PROGRAM);
        Daemon::spawn(config, command).ready().await
    }

    fn spawn(config: &Path, mut command: Command) -> Daemon {
        let port = free_port();
        let log = config.with_extension("log");
        let process = command
            .args(["serve", "--web.enable-lifecycle", "--log.level=trace"])
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Daemon { url: format!("http://127.0.0.1:{port}"), process: Process(process), log }
    }

    async fn ready(mut self) -> Daemon {
        let url = format!("{}/-/ready", self.url);
        eventually("fuelgauge to be ready", async || {
            let ended = self.process.0.try_wait().unwrap();
            assert_eq!(ended, None, "{}", self.log());
            super::get(&url).await.ok().filter(|(status, _)| *status == 200)
        })
        .await;
        self
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// A path as the process sees it.
    pub fn inside(&self, path: &Path) -> PathBuf {
        Path::new("/proc").join(self.process.0.id().to_string()).join("root").join(path.strip_prefix("/").unwrap())
    }

    /// Asks for the configuration to be loaded again: status and answer.
    pub async fn reload(&self) -> (u16, String) {
        let response = super::client().post(format!("{}/-/reload", self.url)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub async fn page(&self, path: &str) -> String {
        let (status, body) = super::get(&format!("{}{path}", self.url)).await.unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub async fn scrape(&self) -> Scrape {
        Scrape::read(&self.page("/metrics").await)
    }

    /// Scrapes until a sample has a value that pleases.
    pub async fn wait_for(&self, name: &str, labels: &[(&str, &str)], pleases: impl Fn(f64) -> bool) -> Scrape {
        eventually(name, async || {
            let scrape = self.scrape().await;
            scrape.value(name, labels).is_some_and(&pleases).then_some(scrape)
        })
        .await
    }
}

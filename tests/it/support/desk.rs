//! An agent in this process that people bring things to: by command, by the API and by the forms of its page.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use fuelgauge::app::{Agent, Shared};
use fuelgauge::cli::Cli;
use fuelgauge::clock::{Clock, ManualClock};
use fuelgauge::commands::{self, Answer};
use fuelgauge::config::Config;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::DropGuard;

use super::agent::serve_pages;
use super::program::Ended;
use super::{client, client_with, write_secret};

/// A token that may push.
pub const LEAD: &str = "canary-lead-5b1f2c77";
/// One of the team `props`.
pub const PROPS: &str = "canary-props-9e7d4a00";
/// One that may only push.
pub const PIPELINE: &str = "canary-pipeline-33aa01";

/// Its clock stands near the present, because commands have their own.
pub struct Desk {
    folder: TempDir,
    pub clock: Arc<ManualClock>,
    pub agent: Agent,
    pub url: String,
    _server: DropGuard,
}

impl Desk {
    /// Opens one with this configuration, whose tokens are in the files `lead`, `props` and `pipeline`. `DAY` stands for a day
    /// of the month about two weeks ahead.
    pub async fn open(configuration: &str) -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, secret) in [("lead", LEAD), ("props", PROPS), ("pipeline", PIPELINE)] {
            write_secret(&path(name), secret);
        }
        let storage = format!("storage: \"sqlite:{}\"", path("ledger.db").display());
        let clock = Arc::new(ManualClock::new(fuelgauge::clock::SystemClock.now()));
        // The reset is two weeks ahead, whatever the day: a month has at least 28.
        let ahead = (clock.now() + SignedDuration::from_hours(15 * 24)).strftime("%-d").to_string();
        let ahead = if ahead.parse::<u32>().unwrap() > 28 { "1".to_owned() } else { ahead };
        std::fs::write(path("fuelgauge.yml"), storage + &configuration.replace("DAY", &ahead)).unwrap();
        let config = Config::load(&path("fuelgauge.yml")).unwrap_or_else(|error| panic!("{error}"));
        let shared = Shared::open(&config.storage, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        let agent = Agent::build(&config, None, &shared).await.unwrap();
        agent.first_look().await.unwrap();
        agent.open_door();
        let (url, server) = serve_pages(&shared);
        Desk { folder, clock, agent, url, _server: server }
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("fuelgauge.yml")
    }

    /// Does what is typed after `fuelgauge`.
    pub async fn command(&self, words: &[&str]) -> Answer {
        let file = format!("--config.file={}", self.config_file().display());
        let words = ["fuelgauge"].iter().chain(words).copied().chain([file.as_str()]);
        commands::run(Cli::try_parse_from(words).unwrap().command).await
    }

    /// Does what is typed after `fuelgauge` in a program of its own, for what it prints.
    pub async fn program(&self, words: &[&str]) -> Ended {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_fuelgauge"));
        command.args(words).arg(format!("--config.file={}", self.config_file().display())).env_remove("RUST_LOG");
        let output = command.output().await.unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        Ended { code: output.status.code(), out, err }
    }

    /// Asks the API: status and answer.
    pub async fn ask(&self, method: reqwest::Method, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = client().request(method, format!("{}/api/v1/{path}", self.url)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        assert!(!text.contains("canary"), "a token is in an answer: {text}");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Pushes sixty days of charges of `env-a`.
    pub async fn push_history(&self) {
        let now = self.clock.now();
        let charge = |number: i64, project: &str, hours: i64, credits: i64, outcome: &str| {
            let at = (now - SignedDuration::from_hours(hours)).to_string();
            json!({"charge_id": format!("{project}-{number}"), "at": at, "credits": credits, "task_type": "text-to-3d",
                   "outcome": outcome, "project": project})
        };
        let charges: Vec<Value> =
            (0..240).map(|number| charge(number, "env-a", 1 + number * 6, 10, "succeeded")).collect();
        let (status, told) =
            self.ask(reqwest::Method::POST, "accounts/studio/readings", LEAD, Some(json!({"charges": charges}))).await;
        assert_eq!(status, 200, "{told}");
    }

    /// Sends a form as a browser does: status, address that it leads to, and page.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)], origin: Option<&str>) -> (u16, String, String) {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let client = client_with(reqwest::redirect::Policy::none());
        let mut request = client.post(format!("{}{path}", self.url)).body(body);
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let location = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        let page = response.text().await.unwrap();
        assert!(!page.contains("canary"), "a token is in a page: {page}");
        (status, location.unwrap_or_default(), page)
    }
}

//! A real browser that is typed into and read, by its DevTools protocol over a pipe (`--remote-debugging-pipe`): no port, and no
//! library for it.

use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::program::promptly;

const FLAGS: &str = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
                     --disable-component-update --disable-sync --disable-dev-shm-usage --remote-debugging-pipe";

/// One page in one browser. It ends with this value.
pub struct Browser {
    _child: Child,
    _profile: TempDir,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Option<String>,
    last: u64,
    /// What the page's console complained about: scripts that throw, and what a policy blocks.
    pub complaints: Vec<String>,
}

impl Browser {
    /// Opens an empty page of so many pixels.
    pub async fn open(width: u32, height: u32) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        // The browser reads commands from descriptor 3 and answers on 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"])
            .args(FLAGS.split_whitespace())
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let (session, complaints) = (None, Vec::new());
        let mut browser = Browser { _child: child, _profile: profile, input, output, session, last: 0, complaints };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.ask("Target.attachToTarget", attach).await;
        browser.session = Some(attached["sessionId"].as_str().expect("chromium is installed by ./test").to_owned());
        for domain in ["Page.enable", "Log.enable", "Runtime.enable"] {
            browser.ask(domain, json!({})).await;
        }
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        browser.ask("Emulation.setDeviceMetricsOverride", size).await;
        browser
    }

    /// Has the page do without scripts of its own.
    pub async fn without_scripts(&mut self) {
        self.ask("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    }

    async fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{command}\0").as_bytes()).await.unwrap();
        let answer = async {
            loop {
                let mut message = Vec::new();
                self.output.read_until(0, &mut message).await.unwrap();
                let message: Value =
                    serde_json::from_slice(message.strip_suffix(&[0]).expect("the browser ended")).unwrap();
                if message["id"] == self.last {
                    assert!(message["error"].is_null(), "{method}: {message}");
                    break message["result"].clone();
                }
                if matches!(message["method"].as_str(), Some("Log.entryAdded" | "Runtime.exceptionThrown")) {
                    self.complaints.push(message["params"].to_string());
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), answer).await.expect("the browser answers")
    }

    /// Goes to an address, and waits until it is there.
    pub async fn go(&mut self, url: &str) {
        let went = self.ask("Page.navigate", json!({"url": url})).await;
        assert!(went["errorText"].is_null(), "{url}: {went}");
        self.until("document.readyState === 'complete'").await;
    }

    /// What an expression comes to in the page, scripts of its own or not.
    pub async fn value(&mut self, expression: &str) -> Value {
        let found = self.ask("Runtime.evaluate", json!({"expression": expression, "returnByValue": true})).await;
        assert!(found["exceptionDetails"].is_null(), "{expression}: {found}");
        found["result"]["value"].clone()
    }

    /// Waits until an expression is true. The page may be on its way to another one meanwhile.
    pub async fn until(&mut self, expression: &str) {
        promptly(expression, async || (self.value(expression).await == true).then_some(())).await;
    }

    /// Types a text into what has the focus.
    pub async fn write(&mut self, text: &str) {
        self.ask("Input.insertText", json!({"text": text})).await;
    }

    /// Presses `Tab` or `Enter`.
    pub async fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            other => panic!("no key `{other}`"),
        };
        let mut event =
            json!({"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
        self.ask("Input.dispatchKeyEvent", event.clone()).await;
        event["type"] = json!("keyUp");
        event.as_object_mut().unwrap().remove("text");
        self.ask("Input.dispatchKeyEvent", event).await;
    }
}

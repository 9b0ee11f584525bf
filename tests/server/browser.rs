//! A headless Chromium of a test's own, driven over the pipe of its DevTools protocol.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use aegis::testing::skip;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// How long the page may take for anything, in milliseconds; machines that run tests are busy.
const PATIENCE: u32 = 60_000;

/// A browser with one page. It is killed when the test ends.
pub(crate) struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    page: Option<String>,
    asked: u64,
    events: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// A browser, if this machine has one.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        if !env::split_paths(&path).any(|folder| folder.join("chromium").exists()) {
            skip(test, "no chromium: run scripts/setup.sh chromium");
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        // It reads commands from descriptor 3, and answers on 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 >/dev/null 2>&1", "sh"])
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-background-networking", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let (asked, events) = (0, Vec::new());
        let mut browser = Self { child, commands, answers, page: None, asked, events, _profile: profile };
        browser.open_page();
        Some(browser)
    }

    fn open_page(&mut self) {
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let session = self.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        self.page = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    pub(crate) fn go(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
    }

    /// Runs a script in every page before its own.
    pub(crate) fn before_each_page(&mut self, script: &str) {
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({"source": script}));
    }

    /// Shows pages from now on as to who wants such colours, `light` or `dark`, and nothing that moves, in a
    /// window so wide.
    pub(crate) fn look(&mut self, colours: &str, width: u32) {
        let wanted = json!([
            {"name": "prefers-color-scheme", "value": colours},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.call("Emulation.setEmulatedMedia", json!({"features": wanted}));
        let window = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", window);
    }

    /// Keeps a picture of the page for a person to look at, in the folder `AEGIS_SCREENSHOTS` if there is one.
    pub(crate) fn keep_picture(&mut self, name: &str) {
        let Some(folder) = env::var_os("AEGIS_SCREENSHOTS") else { return };
        let shot =
            self.call("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": true}));
        let picture = STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        fs::write(Path::new(&folder).join(format!("{name}.png")), picture).unwrap();
    }

    /// What an expression is in the page; a promise, once it is kept.
    pub(crate) fn run(&mut self, expression: &str) -> Value {
        let how = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", how);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer:#}");
        answer["result"]["value"].clone()
    }

    /// Waits until the condition holds in the page.
    pub(crate) fn until(&mut self, condition: &str) {
        let held = self.run(&format!(
            "new Promise((tell) => {{
               const end = Date.now() + {PATIENCE};
               const look = () => (({condition}) ? tell(true) : Date.now() > end ? tell(false) : setTimeout(look, 50));
               look();
             }})"
        ));
        if held != json!(true) {
            let page = self.run("document.body.innerText");
            panic!("this never held: {condition}\n{}", page.as_str().unwrap());
        }
    }

    /// Presses a key: `Tab`, `Enter`, `Space` or an arrow.
    pub(crate) fn press(&mut self, key: &str) {
        let (name, code, text) = match key {
            "Tab" => ("Tab", 9, ""),
            "Enter" => ("Enter", 13, "\r"),
            "Space" => (" ", 32, " "),
            "ArrowDown" => ("ArrowDown", 40, ""),
            other => panic!("which key is {other}?"),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            self.call(
                "Input.dispatchKeyEvent",
                json!({"type": kind, "key": name, "code": key, "windowsVirtualKeyCode": code, "text": text}),
            );
        }
    }

    /// Types where the focus is.
    pub(crate) fn enter(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Goes on by the tabulator until what has the focus is this.
    pub(crate) fn tab_to(&mut self, selector: &str) {
        let is_there = format!("document.activeElement.matches({})", json!(selector));
        for _ in 0..60 {
            if self.run(&is_there) == json!(true) {
                return;
            }
            self.press("Tab");
        }
        panic!("the keyboard does not reach {selector}");
    }

    /// Errors that the page wrote to the console, and what it may not do by its content security policy.
    pub(crate) fn complaints(&self) -> Vec<&Value> {
        let bad = |event: &&Value| match event["method"].as_str() {
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Runtime.exceptionThrown") => true,
            _ => false,
        };
        self.events.iter().filter(bad).collect()
    }

    /// Every address that was asked, by HTTP or by a socket.
    pub(crate) fn addresses(&self) -> BTreeSet<&str> {
        let addresses = self.events.iter().filter_map(|event| match event["method"].as_str()? {
            "Network.requestWillBeSent" => event["params"]["request"]["url"].as_str(),
            "Network.webSocketCreated" => event["params"]["url"].as_str(),
            _ => None,
        });
        addresses.collect()
    }

    /// Sends a command and waits for its answer; events that come before it are kept.
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let mut command = json!({"id": self.asked, "method": method, "params": params});
        if let Some(page) = &self.page {
            command["sessionId"] = json!(page);
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let mut told = Vec::new();
            self.answers.read_until(0, &mut told).unwrap();
            assert_eq!(told.pop(), Some(0), "the browser ended");
            let mut told: Value = serde_json::from_slice(&told).unwrap();
            if told["id"] == self.asked {
                assert!(told.get("error").is_none(), "{method}: {told}");
                return told["result"].take();
            }
            self.events.push(told);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

//! Drives a headless Chromium over its debugging pipe, in a network namespace that has no interface. Tests only.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use serde_json::{Value as Json, json};

use super::{run, scratch};

/// What opening a report needs of the machine.
pub const NEEDS: [super::Need; 2] = [super::Need::Program("chromium"), super::Need::Namespaces];

/// Seconds after which a browser that hangs is ended.
const LIMIT: &str = "120";

/// A browser with one page.
pub struct Browser {
    child: Child,
    to: File,
    from: BufReader<File>,
    session: Option<String>,
    calls: u64,
    /// What the page asked the network for.
    pub requests: Vec<String>,
    /// Errors and warnings of the console, exceptions, violations of the page's policy.
    pub complaints: Vec<String>,
    loaded: bool,
    dir: tempfile::TempDir,
}

impl Browser {
    /// Starts it.
    pub fn start() -> Browser {
        let dir = scratch();
        let (into, out) = (dir.path().join("into"), dir.path().join("out"));
        run(Command::new("mkfifo").arg("-m").arg("600").arg(&into).arg(&out));
        // It reads commands on 3 and writes answers on 4. Opening a pipe waits for its other end, so that both sides open
        // them in the same order.
        let child = Command::new("timeout")
            .args(["--kill-after=5", LIMIT])
            .args(["bash", "-c", "exec 3<\"$1\" 4>\"$2\"; shift 2; exec \"$@\"", "browser"])
            .args([&into, &out])
            .args(["unshare", "--net", "chromium", "--headless=new", "--no-sandbox", "--disable-gpu"])
            .args(["--remote-debugging-pipe", "--no-first-run", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.path().join("log")).expect("a log"))
            // A group of its own: its many processes are ended together.
            .process_group(0)
            .spawn()
            .expect("timeout");
        let to = File::options().write(true).open(&into).expect("the pipe to the browser");
        let from = BufReader::new(File::open(&out).expect("the pipe from the browser"));
        let mut browser = Browser {
            child,
            to,
            from,
            session: None,
            calls: 0,
            requests: Vec::new(),
            complaints: Vec::new(),
            loaded: false,
            dir,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attached =
            browser.call("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Calls a method of the protocol and waits for its answer.
    pub fn call(&mut self, method: &str, params: Json) -> Json {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).expect("a browser that listens");
        loop {
            let answer = self.read();
            if answer["id"] == json!(self.calls) {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
        }
    }

    fn read(&mut self) -> Json {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).expect("a browser that answers");
        if bytes.pop() != Some(0) {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            panic!("the browser ended, or was ended after {LIMIT} s:\n{log}");
        }
        let message: Json = serde_json::from_slice(&bytes).expect("JSON");
        let params = &message["params"];
        match message["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                self.requests.push(params["request"]["url"].as_str().unwrap_or("?").to_owned());
            }
            Some("Page.loadEventFired") => self.loaded = true,
            Some("Log.entryAdded") => self.complaints.push(params["entry"].to_string()),
            Some("Runtime.exceptionThrown") => self.complaints.push(params["exceptionDetails"].to_string()),
            Some("Runtime.consoleAPICalled") => self.complaints.push(params["args"].to_string()),
            _ => {}
        }
        message
    }

    /// How large the window is, and whether the person prefers dark.
    pub fn look(&mut self, width: u32, height: u32, dark: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// Opens a file and waits until it is there. Milliseconds until it was loaded and painted.
    pub fn open(&mut self, file: &Path) -> f64 {
        self.navigate(file);
        let painted =
            "new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))";
        self.eval(painted).as_f64().expect("a time")
    }

    /// Opens a file and waits until it is loaded.
    pub fn navigate(&mut self, file: &Path) {
        self.loaded = false;
        self.call("Page.navigate", json!({"url": format!("file://{}", file.display())}));
        while !self.loaded {
            self.read();
        }
    }

    /// A value from the page.
    pub fn eval(&mut self, script: &str) -> Json {
        let params = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", params);
        assert!(answer["exceptionDetails"].is_null(), "{script}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// A number from the page.
    pub fn number(&mut self, script: &str) -> u64 {
        let value = self.eval(script);
        value.as_u64().unwrap_or_else(|| panic!("{script}: {value}"))
    }

    /// Types into the search box and waits until the page has answered.
    pub fn search(&mut self, text: &str) {
        self.eval(&format!(
            "new Promise(done => {{ const box = document.getElementById('find'); box.value = {}; \
             box.dispatchEvent(new Event('input', {{bubbles: true}})); setTimeout(done, 400); }})",
            json!(text)
        ));
    }

    /// Draws the page anew, whether or not its scripts may run.
    pub fn draw(&mut self) {
        let clip = json!({"x": 0, "y": 0, "width": 1, "height": 1, "scale": 1});
        self.call("Page.captureScreenshot", json!({"format": "png", "clip": clip}));
    }

    /// Keeps a picture of the window, for a person to look at.
    pub fn picture(&mut self, to: &Path) {
        // Until what was scrolled to is there. The debugger's own wait: a page's scripts may be off.
        std::thread::sleep(std::time::Duration::from_millis(150));
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let data = answer["data"].as_str().expect("a picture");
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
        fs::write(to, bytes).expect("write");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let message = json!({"id": 0, "method": "Browser.close"}).to_string() + "\0";
        let _ = self.to.write_all(message.as_bytes());
        let _ = self.child.wait();
    }
}

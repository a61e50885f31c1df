//! Speaks the Language Server Protocol 3.17 with yaml-language-server, in a network namespace that has no interface.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::support::{Need, editor};

/// What it needs of the machine.
pub const NEEDS: [Need; 3] = [Need::Editor, Need::Program("node"), Need::Namespaces];

/// Seconds after which a server that hangs is ended; the test then fails where it waits for an answer.
const LIMIT: &str = "120";

/// Where the cursor is in a text.
const CURSOR: char = '‸';

/// A server that has a folder open.
pub struct Server {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    folder: PathBuf,
    calls: u64,
    /// How many texts it was given.
    texts: u64,
}

impl Server {
    /// Starts it with the settings of an editor that only switched the catalogue of schemas on the network off.
    pub fn start(folder: &Path) -> Server {
        let program =
            editor().expect("installed").join("node_modules/yaml-language-server/bin/yaml-language-server");
        let mut child = Command::new("timeout")
            .args(["--kill-after=5", LIMIT, "unshare", "--net", "node"])
            .arg(program)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("timeout");
        let to = child.stdin.take().expect("a pipe");
        let from = BufReader::new(child.stdout.take().expect("a pipe"));
        let folder = folder.to_owned();
        let mut server = Server { child, to, from, folder, calls: 0, texts: 0 };
        let root = format!("file://{}", server.folder.display());
        server.call(
            "initialize",
            &json!({
                "processId": std::process::id(),
                "rootUri": root,
                "workspaceFolders": [{"uri": root, "name": "inventory"}],
                "capabilities": {"textDocument": {
                    "completion": {"completionItem": {"documentationFormat": ["markdown", "plaintext"]}},
                    "hover": {"contentFormat": ["markdown"]},
                    "publishDiagnostics": {},
                }},
            }),
        );
        server.tell("initialized", &json!({}));
        server.tell(
            "workspace/didChangeConfiguration",
            &json!({"settings": {"yaml": {
                "validate": true, "hover": true, "completion": true, "schemaStore": {"enable": false},
            }}}),
        );
        server
    }

    /// What it finds in a document with this text: lines, the first being 1, and words.
    pub fn findings(&mut self, document: &str, text: &str) -> Vec<(u64, String)> {
        // A name of its own for every text: the server may say twice what it finds, and nothing tells of which version.
        self.texts += 1;
        let uri = self.uri(document);
        let item = json!({"uri": uri, "languageId": "yaml", "version": 1, "text": text});
        self.tell("textDocument/didOpen", &json!({"textDocument": item}));
        loop {
            let message = self.read();
            let about = &message["params"];
            if message["method"] == "textDocument/publishDiagnostics" && about["uri"] == uri.as_str() {
                let found = about["diagnostics"].as_array().expect("diagnostics").iter();
                return found
                    .map(|one| {
                        let line = one["range"]["start"]["line"].as_u64().expect("a line");
                        (line + 1, one["message"].as_str().expect("words").to_owned())
                    })
                    .collect();
            }
        }
    }

    /// What it offers at the cursor, with what it says of it.
    pub fn offers(&mut self, document: &str, text: &str) -> BTreeMap<String, String> {
        let answer = self.at("textDocument/completion", document, text);
        let items = answer.get("items").unwrap_or(&answer).as_array().expect("items");
        let words = |item: &Value| {
            let said = &item["documentation"];
            said.as_str().or(said["value"].as_str()).unwrap_or_default().to_owned()
        };
        items.iter().map(|item| (item["label"].as_str().expect("a label").to_owned(), words(item))).collect()
    }

    /// What it shows when the mouse rests at the cursor.
    pub fn hover(&mut self, document: &str, text: &str) -> String {
        let answer = self.at("textDocument/hover", document, text);
        answer["contents"]["value"].as_str().unwrap_or_default().to_owned()
    }

    fn at(&mut self, method: &str, document: &str, text: &str) -> Value {
        let (before, after) = text.split_once(CURSOR).expect("a cursor");
        self.findings(document, &format!("{before}{after}"));
        let line = before.matches('\n').count();
        let character = before.rsplit('\n').next().unwrap_or_default().encode_utf16().count();
        let uri = self.uri(document);
        self.call(
            method,
            &json!({"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}),
        )
    }

    fn uri(&self, document: &str) -> String {
        format!("file://{}", self.folder.join(format!("{}-{document}", self.texts)).display())
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let mut message = self.read();
            if message["id"] == id && message.get("method").is_none() {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
        }
    }

    fn tell(&mut self, method: &str, params: &Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{body}", body.len()).expect("a server that reads");
        self.to.flush().expect("a server that reads");
    }

    /// The next message; what the server asks of an editor is answered with nothing.
    fn read(&mut self) -> Value {
        let mut length = None;
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).expect("a header") > 0, "the server ended");
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse::<usize>().ok();
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length.expect("a length")];
        self.from.read_exact(&mut body).expect("a body");
        let message: Value = serde_json::from_slice(&body).expect("JSON");
        if let (Some(id), Some(_)) = (message.get("id"), message.get("method")) {
            self.send(&json!({"jsonrpc": "2.0", "id": id, "result": null}));
        }
        message
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Never a panic: a test that failed is being unwound.
        let exit = json!({"jsonrpc": "2.0", "method": "exit"}).to_string();
        let _ = write!(self.to, "Content-Length: {}\r\n\r\n{exit}", exit.len());
        let _ = self.to.flush();
        let _ = self.child.wait();
    }
}

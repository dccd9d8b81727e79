//! An OpenID Connect provider: npm's `oidc-provider` on loopback, installed where it is missing.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use ureq::Agent;

use crate::programs::installed;

/// A provider, and a door behind which tokens are made that it would never make itself. Dropped, it ends.
#[derive(Debug)]
pub struct Provider {
    child: Child,
    /// Its issuer.
    pub issuer: String,
    control: String,
    agent: Agent,
}

impl Provider {
    /// Starts one, which sends browsers back to `callback` and makes tokens for `audience`.
    pub fn start(callback: &str, audience: &str) -> Self {
        let mut command = Command::new("node");
        command.arg(folder().join("provider.mjs")).args([callback, audience]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (issuer, control) = line.trim().split_once(' ').expect("the provider does not start");
        let config = Agent::config_builder().http_status_as_error(false).proxy(None).build();
        Self { issuer: issuer.to_owned(), control: control.to_owned(), agent: config.into(), child }
    }

    /// A token: `by` says what signs it, `header` and `claims` what is other than in a good one.
    pub fn mint(&self, how: &Value) -> String {
        self.ask("mint", how)
    }

    /// Begins to use other keys.
    pub fn rotate(&self) {
        self.ask("rotate", &Value::Null);
    }

    /// Changes the groups of people.
    pub fn set_groups(&self, groups: &Value) {
        self.ask("groups", groups);
    }

    /// Stops to answer.
    pub fn go_away(&self) {
        self.ask("away", &Value::Null);
    }

    /// Answers again.
    pub fn come_back(&self) {
        self.ask("back", &Value::Null);
    }

    /// A token that the provider makes for a client of its own by itself, for this audience.
    pub fn client_token(&self, audience: &str) -> String {
        let url = format!("{}/token", self.issuer);
        let form = [("grant_type", "client_credentials"), ("scope", "read"), ("resource", audience)];
        // edc:edc
        let request = self.agent.post(url).header("authorization", "Basic ZWRjOmVkYw==");
        let mut answer = request.send_form(form).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    fn ask(&self, what: &str, how: &Value) -> String {
        let body = if how.is_null() { String::new() } else { how.to_string() };
        let mut answer = self.agent.post(format!("{}/{what}", self.control)).send(body).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status(), 200, "{what}: {text}");
        text
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder that the provider is installed in.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| installed("provider", "the provider is missing and could not be installed"))
}

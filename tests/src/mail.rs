//! A mail server of somebody else: the PyPI package `aiosmtpd`, with STARTTLS and a password.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Authority, Listener, script};

/// A mail server called `localhost`, of a user `monitor`. It takes nothing for recipients whose name begins with `nobody`.
#[derive(Debug)]
pub struct MailServer {
    certificate: String,
    folder: TempDir,
    running: Option<Listener>,
    /// Its port.
    pub port: String,
}

impl MailServer {
    /// Starts one, with a certificate of this authority.
    pub fn start(authority: &Authority) -> Self {
        let folder = tempfile::Builder::new().prefix("trialseal-mail-").tempdir().unwrap();
        let certificate = authority.certificate("localhost");
        let mut server = Self { certificate, folder, running: None, port: "0".into() };
        server.start_again();
        server
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Starts it where it was.
    pub fn start_again(&mut self) {
        let mut command = script("mail.py");
        command
            .args([&self.certificate, &self.port, "monitor", "right"])
            .arg(self.folder.path().join("messages"));
        let running = Listener::on_output(command);
        running.address.rsplit_once(':').unwrap().1.clone_into(&mut self.port);
        self.running = Some(running);
    }

    /// A file with its user and this password. The right one is `right`.
    pub fn credentials(&self, password: &str) -> String {
        let file = self.folder.path().join(password);
        fs::write(&file, format!("monitor\n{password}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// What has arrived, as Python's email module reads it.
    pub fn messages(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("messages")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

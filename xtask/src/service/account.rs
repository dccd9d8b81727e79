//! The demonstration's account: with it a newcomer logs in to the pages.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Client;

/// What it is logged in to by.
pub(crate) const LOGIN: &str = "demo";

/// Name and password, in a file for its owner alone.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    login: String,
    password: String,
}

impl Account {
    /// Leaves an account in `file` that can be logged in to; what is there already stays.
    pub(crate) fn open_or_create(file: &Path, administrator: &Client) -> Result<()> {
        let found = fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let accounts = administrator.get("/v1/accounts")?.json()?;
        let known = accounts["accounts"].as_array().into_iter().flatten().find(|one| one["login"] == LOGIN);
        if known.is_some_and(|account| account["hasPassword"] == true) && found.is_some() {
            return Ok(());
        }
        let made = if let Some(id) = known.and_then(|account| account["id"].as_str()) {
            administrator.post(&format!("/v1/accounts/{id}/invitations"), "demo", &json!({}))?
        } else {
            let new = json!({
                "login": LOGIN, "role": "monitor", "organisation": "Demo Monitoring", "actor": "demo-newcomer",
            });
            administrator.post("/v1/accounts", "demo", &new)?
        };
        let made = made.json()?;
        let link = made["link"].as_str().context("the service gave no link to choose a password by")?;
        let account = Self { login: LOGIN.to_owned(), password: random()? };
        account.write(file).with_context(|| format!("{} cannot be written", file.display()))?;
        administrator.submit(link, &[("password", &account.password), ("again", &account.password)])
    }

    fn write(&self, file: &Path) -> Result<()> {
        // A file that was there keeps its mode when it is written, so it has to go first.
        if file.exists() {
            fs::remove_file(file)?;
        }
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        serde_json::to_writer_pretty(&mut out, self)?;
        Ok(writeln!(out)?)
    }
}

/// A password that nobody can guess, in hex digits.
fn random() -> Result<String> {
    let mut bytes = [0; 12];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("no randomness")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat())
}

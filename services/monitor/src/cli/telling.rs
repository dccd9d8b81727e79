//! Who is told, and who is believed: the options about everybody beside the ledger.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use trialseal_runtime::client::Authorities;
use trialseal_runtime::clock::{Clock as _, SystemClock};
use trialseal_seal::time::Timestamp;

use super::{CANNOT_TELL, read, read_word};
use crate::notice::{Channel, Mail, MailServer, Notice, Notices, Webhook};
use crate::place::Http;

#[derive(Debug, Args)]
pub(super) struct Telling {
    /// A file of certificate authorities, as PEM, that are believed beside the public ones: about the ledger, witnesses, peers,
    /// and whoever is told.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Where to post alarms, as Standard Webhooks has it.
    #[arg(long, value_name = "URL", requires = "webhook_secret_file")]
    webhook: Option<String>,
    /// A file with the webhook's secret, `whsec_…`.
    #[arg(long, value_name = "FILE")]
    webhook_secret_file: Option<PathBuf>,
    /// Who gets mail about alarms; can be given several times.
    #[arg(long, value_name = "ADDRESS", requires_all = ["mail_from", "smtp"])]
    mail_to: Vec<String>,
    /// Whom the mail is from.
    #[arg(long, value_name = "ADDRESS", requires = "mail_to")]
    mail_from: Option<String>,
    /// The mail server: smtps://HOST[:465]; smtp://HOST[:587], which has to offer STARTTLS; plain://HOST[:25] on this machine
    /// alone.
    #[arg(long, value_name = "URL", requires = "mail_to")]
    smtp: Option<String>,
    /// A file with the user's name at the mail server in its first line and the password in its second; mode 0600.
    #[arg(long, value_name = "FILE", requires = "smtp")]
    smtp_credentials_file: Option<PathBuf>,
}

impl Telling {
    /// What asks others, and whom to tell.
    pub(super) fn open(&self) -> Result<(Http, Notices)> {
        let authorities = Authorities::with_file(self.ca.as_deref())?;
        let http = Http::new(&authorities);
        let mut channels: Vec<Box<dyn Channel>> = Vec::new();
        if let Some((url, file)) = self.webhook.as_ref().zip(self.webhook_secret_file.as_ref()) {
            let webhook = Webhook::new(http.clone(), url, &read_word(file)?);
            let webhook = webhook.with_context(|| {
                format!("{} holds no secret of the form whsec_… with 24 to 64 bytes", file.display())
            })?;
            channels.push(Box::new(webhook));
        }
        if let Some((url, from)) = self.smtp.as_ref().zip(self.mail_from.as_ref()) {
            let credentials = self.smtp_credentials_file.as_deref().map(read_credentials).transpose()?;
            let server = MailServer::new(url, &authorities, credentials)?;
            for to in &self.mail_to {
                channels.push(Box::new(Mail::new(server.clone(), from, to)?));
            }
        }
        Ok((http, Notices(channels)))
    }
}

/// Tells everybody that this is a test; gives the exit code.
pub(super) fn tell_test(ledger: &str, telling: &Telling) -> Result<u8> {
    let (_, Notices(channels)) = telling.open()?;
    ensure!(!channels.is_empty(), "nobody is to be told: give --webhook or --mail-to");
    let now = Timestamp::from_micros(SystemClock.now());
    let notice = Notice::test(ledger, now);
    let mut code = 0;
    for channel in channels {
        match channel.tell(&notice, now) {
            Ok(()) => println!("{}: told, as {}", channel.whom(), notice.id),
            Err(why) => {
                eprintln!("{}: not told: {why}", channel.whom());
                code = CANNOT_TELL;
            }
        }
    }
    Ok(code)
}

/// User and password, in two lines of a file that is closed to others.
fn read_credentials(file: &Path) -> Result<(String, String)> {
    let text = String::from_utf8(read(file)?).ok();
    let mode = fs::metadata(file)?.permissions().mode();
    let is_closed = mode.trailing_zeros() >= 6;
    ensure!(is_closed, "the password in {} can be read by others: run chmod 600 on it", file.display());
    let mut lines = text.as_deref().unwrap_or_default().lines();
    let two =
        lines.next().zip(lines.next()).filter(|(user, password)| !user.is_empty() && !password.is_empty());
    let two = two.filter(|_| lines.next().is_none());
    let (user, password) = two.with_context(|| {
        format!(
            "{} does not hold a user's name in its first line and a password in its second",
            file.display()
        )
    })?;
    Ok((user.to_owned(), password.to_owned()))
}

//! What a service gives away: a dataset, and what is needed to check it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::json;
use zip::ZipArchive;

use super::Client;

/// How long an export may take: a million events and more.
const EXPORT_WITHIN: Duration = Duration::from_hours(1);

/// The files that leave the service.
pub(crate) struct Materials {
    pub(crate) dataset: PathBuf,
    pub(crate) trust: PathBuf,
}

/// The parts of a dataset's `head.json` (section 6 of the format specification, head proof) that people are told.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    pub(crate) head: TrialHead,
    pub(crate) seal: Seal,
}

/// A trial's head.
#[derive(Debug, Deserialize)]
pub(crate) struct TrialHead {
    pub(crate) size: u64,
}

/// The seal that covers it.
#[derive(Debug, Deserialize)]
pub(crate) struct Seal {
    pub(crate) seal: u64,
    pub(crate) time: String,
}

/// Has a trial exported, and downloads the dataset and the trust text into a folder.
pub(crate) fn export(client: &Client, trial: &str, folder: &Path) -> Result<Materials> {
    let materials = Materials { dataset: folder.join("dataset.zip"), trust: folder.join("trust.txt") };
    // One export a state of the log: the checkpoint, which names that state, makes the key.
    let checkpoint = client.get("/log/checkpoint")?.text;
    let state = checkpoint.lines().nth(1).context("the checkpoint has no size")?;
    let path = begin(client, trial, state)?;
    client.follow(&path, EXPORT_WITHIN, |_| ())?;
    client.download(&format!("{path}/dataset.zip"), &materials.dataset)?;
    fs::write(&materials.trust, client.get("/v1/trust")?.text)?;
    Ok(materials)
}

/// Begins an export, or takes the one that was made of this state before, and answers its address. One that failed or
/// whose file was removed since is of no use; the same key would give it again.
fn begin(client: &Client, trial: &str, state: &str) -> Result<String> {
    let body = json!({"purpose": "Offline verification", "tables": true});
    let mut number = 1;
    loop {
        let key = format!("{trial}.export.{state}.{number}");
        let answer = client.post(&format!("/v1/trials/{trial}/exports"), &key, &body)?;
        if !matches!(answer.json()?["state"].as_str(), Some("failed" | "removed")) {
            return answer.location.context("the export has no address");
        }
        number += 1;
    }
}

/// The head that a dataset ends in.
pub(crate) fn head_of(dataset: &Path) -> Result<Head> {
    let mut archive = ZipArchive::new(File::open(dataset)?)?;
    let entry = archive.by_name("head.json").context("the dataset has no head.json")?;
    Ok(serde_json::from_reader(entry)?)
}

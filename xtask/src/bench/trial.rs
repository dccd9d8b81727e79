//! A trial that files are imported into, as every measurement needs one.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::progress::Progress;
use crate::service::{Client, Role, Service, Tokens};

/// How long one file may take: a million rows on a slow machine.
const IMPORT_WITHIN: Duration = Duration::from_hours(1);

/// How long the seal after the last event may take.
const SEALED_WITHIN: Duration = Duration::from_mins(5);

/// A registered trial.
pub(super) struct Trial {
    id: String,
    sponsor: Client,
    pub(super) monitor: Client,
}

impl Trial {
    pub(super) fn register(service: &Service, id: &str) -> Result<Self> {
        let tokens = Tokens::create(service.launch())?;
        let sponsor = tokens.client(Role::Sponsor, &service.address());
        let monitor = tokens.client(Role::Monitor, &service.address());
        let body = json!({"id": id, "title": "Measurement", "sponsor": "Demo Sponsor"});
        sponsor.post("/v1/trials", &format!("{id}.registration"), &body)?;
        Ok(Self { id: id.to_owned(), sponsor, monitor })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Sends a file and waits until all of it is recorded. Answers with what the service says of it, and the seconds
    /// from the first byte sent.
    pub(super) fn import(&self, file: &Path) -> Result<(Value, f64)> {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let started = Instant::now();
        let path = format!("/v1/trials/{}/imports", self.id);
        let answer = self.sponsor.post_file(&path, &format!("{}.{name}", self.id), File::open(file)?)?;
        let at = answer.location.context("the import has no address")?;
        let mut progress = None;
        let done = self.sponsor.follow(&at, IMPORT_WITHIN, |now| {
            let [rows, recorded] = ["rows", "rowsRecorded"].map(|member| now[member].as_u64().unwrap_or(0));
            // Not known until the file was read.
            if rows > 0 {
                progress.get_or_insert_with(|| Progress::new("Rows recorded", rows)).reach(recorded);
            }
        });
        if let Some(progress) = progress {
            progress.finish();
        }
        let done = done.with_context(|| format!("{} was not taken", file.display()))?;
        Ok((done, started.elapsed().as_secs_f64()))
    }

    /// Closes the trial with one more event, waits until that is sealed, and answers with the number of events.
    pub(super) fn seal(&self) -> Result<u64> {
        let body = json!({
            "version": "1.0",
            "documentSha256": "00".repeat(32),
            "primaryOutcomes": [{"id": "o", "measure": "None", "timeFrame": "None"}],
            "sampleSize": 1,
            "changeSummary": "Marks the end of the measurement",
            "reconsent": "none",
        });
        let path = format!("/v1/trials/{}/protocol-versions", self.id);
        let answer = self.sponsor.post(&path, &format!("{}.end", self.id), &body)?.json()?;
        let last = answer["events"][0]["trialseq"].as_u64().context("the answer names no event")?;
        self.monitor
            .get_when_there(&format!("/v1/trials/{}/events/{last}/receipt", self.id), SEALED_WITHIN)?;
        Ok(last + 1)
    }
}

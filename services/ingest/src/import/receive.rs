//! Receiving a file: into the spool, and from there to a job. The answer comes once both are durable.

use std::sync::Arc;

use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;
use serde_json::json;
use trialseal_access::{Permission, Principal};
use trialseal_record::Context;
use trialseal_record::ids::{ImportId, StreamId, TrialId};
use trialseal_record::submission::{self, SubmittedFile};
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_seal::hash::Hash;
use trialseal_seal::submission::SubmissionSignature;
use uuid::Builder;

use super::spool::{ReceiveError, Received, SpoolFile};
use super::status::{ImportStatus, Job, Sender};
use crate::{Ingest, refusal, signed};

/// The name of the route, in the digest of the command.
const ROUTE: &[u8] = b"imports";

/// A file that comes in.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) principal: Principal,
    pub(crate) trial: TrialId,
    pub(crate) key: String,
    pub(crate) request_id: String,
    /// The signature that it comes with.
    pub(crate) signature: Option<SubmissionSignature>,
}

impl Ingest {
    /// Receives a file and begins its import. Answers how it stands, and whether the same file was received under the
    /// same key before.
    pub(crate) async fn receive(
        self: &Arc<Self>,
        upload: Upload,
        file: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    ) -> Result<(ImportStatus, bool), Problem> {
        let Upload { principal, trial, key, .. } = &upload;
        Self::admit(principal, trial, Permission::Import)?;
        let state = self.states.of_trial(trial).await.map_err(|error| refusal::of_state(&error))?;
        if state.version() == 0 {
            return Err(refusal::no_such_trial());
        }
        let command = self.command_id(principal, trial, key);
        let import = import_of(&command);
        let spooled = SpoolFile { trial: trial.clone(), id: self.random_uuid() };
        let received = self.spool.receive(import, spooled.clone(), file).await.map_err(of_receive)?;
        let digest = self.vault.digest(&[ROUTE, trial.as_str().as_bytes(), received.sha256.as_bytes()]);
        // Two uploads under one key take turns from here on.
        let _held = self.locks.hold(trial, StreamId::import(import)).await;
        if let Some(status) = self.received_before(import, &command, &digest).await? {
            return Ok((status, true));
        }
        let signed = match &upload.signature {
            Some(signature) => {
                let body = json!({ "sha256": received.sha256 });
                let (ledger, path) = (self.events.origin(), SubmittedFile::path(trial));
                Some(signed::check(signature, ledger, &path, key, body)?)
            }
            None => None,
        };
        let context = Context { signed, ..self.context(principal) };
        let signed = submission::check(&state, None, &context).map_err(refusal::of_rule)?.cloned();
        let Upload { principal, trial, request_id, .. } = upload;
        let sender = Sender {
            actor: principal.actor,
            role: principal.role,
            organisation: principal.organisation,
            source_system: principal.source_system,
            request_id,
            command: Hash::from_bytes(command),
            digest: Hash::from_bytes(digest),
            signed,
        };
        let status = ImportStatus::received(import, trial.clone(), received.sha256);
        let file = Some(spooled.id);
        let job = Job { import, trial, ended: false, file, status, sender };
        self.accept(&job, &spooled, received).await?;
        let status = job.status.clone();
        self.start(job);
        Ok((status, false))
    }

    /// Makes file and job durable, in this order: a file without a job is destroyed, at the next start at the latest.
    async fn accept(&self, job: &Job, file: &SpoolFile, received: Received) -> Result<(), Problem> {
        let row = job.row().map_err(|error| Problem::internal(&error))?;
        let spool = self.spool.clone();
        let keeping = tokio::task::spawn_blocking(move || spool.keep(received)).await;
        keeping.unwrap_or_else(|error| Err(error.into())).map_err(|error| Problem::internal(&error))?;
        let Err(error) = self.jobs.put_job(&row).await else { return Ok(()) };
        match self.jobs.job(row.id).await {
            // The answer was lost, and the job was not.
            Ok(Some(_)) => return Ok(()),
            Ok(None) => {
                if let Err(error) = self.spool.end(file).await {
                    tracing::warn!(import = %job.import, %error, "the file of an import could not be destroyed");
                }
            }
            // Nobody can tell by now, and the next start can.
            Err(_) => {}
        }
        Err(refusal::of_store(&error))
    }

    /// How the import stands that this command began before, if it did.
    async fn received_before(
        &self,
        import: ImportId,
        command: &[u8; 32],
        digest: &[u8; 32],
    ) -> Result<Option<ImportStatus>, Problem> {
        let Some(row) = self.jobs.job(import.0).await.map_err(|error| refusal::of_store(&error))? else {
            // No import, but perhaps another command under the same key.
            let used = self.appends.command(command).await.map_err(|error| refusal::of_store(&error))?;
            return if used.is_some() { Err(refusal::key_reused()) } else { Ok(None) };
        };
        let job = Job::read(&row).map_err(|error| Problem::internal(&error))?;
        if job.sender.digest.as_bytes() == digest { Ok(Some(job.status)) } else { Err(refusal::key_reused()) }
    }
}

/// An import's id follows from its command's, which is keyed and so tells nothing; thus one command is one import.
fn import_of(command: &[u8; 32]) -> ImportId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(command.split_at(16).0);
    ImportId(Builder::from_custom_bytes(bytes).into_uuid())
}

fn of_receive(error: ReceiveError) -> Problem {
    let sentence = format!("{error}.");
    match error {
        ReceiveError::TooLarge(_) => Problem::new(ProblemKind::PayloadTooLarge, sentence),
        ReceiveError::Full => Problem::new(ProblemKind::Busy, sentence).with_retry_after_seconds(60),
        ReceiveError::Interrupted => Problem::new(ProblemKind::Malformed, sentence),
        ReceiveError::Key(error) => refusal::of_vault(&error),
        ReceiveError::Disk(error) => Problem::internal(&error),
    }
}

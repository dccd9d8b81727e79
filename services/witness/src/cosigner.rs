//! The one thread that decides: it compares with the newest cosigned checkpoint, cosigns, stores, and only then answers.
//!
//! It takes all requests that wait as one batch, decides each on what the ones before it left, and syncs once for all of
//! them. As nobody else decides, check and store are one step; as no answer leaves before the sync, not even a refusal that
//! names a size, a crash takes nothing back that anybody heard of.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tokio::sync::{mpsc, oneshot};
use trialseal_runtime::clock::Clock;
use trialseal_seal::checkpoint::{Checkpoint, verify_cosignature};
use trialseal_seal::hash::{Hash, Sha2, TreeHash};
use trialseal_seal::note::{NoteSignature, SignedNote, VerifierKey};
use trialseal_seal::tree::verify_consistency;
use trialseal_seal::{Code, Refused};

use crate::journal::Storage;
use crate::keys::Keys;
use crate::refusal::Refusal;
use crate::witness::Published;

/// Requests that are answered with one sync at the most; so that the first does not wait long for the last.
const BATCH: usize = 256;
/// How far the clock may be put back, in seconds, with the newest time being used again. Clocks are set right by less.
const MAX_CLOCK_BACK: u64 = 60;

/// A request that was read, with the log's signatures verified.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) old_size: u64,
    pub(crate) proof: Vec<Hash>,
    pub(crate) checkpoint: Checkpoint,
    /// The checkpoint as the log signed it, without the signatures of others.
    pub(crate) note: SignedNote,
}

/// The lines of the cosignatures, or why there are none.
pub(crate) type Answer = Result<String, Refusal>;

/// A request that waits for its answer.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) submission: Submission,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The newest cosigned checkpoint of a log.
#[derive(Debug)]
struct Latest {
    size: u64,
    root: Hash,
    note: Arc<str>,
}

/// Decides and cosigns.
pub(crate) struct Cosigner<S> {
    keys: Keys,
    clock: Arc<dyn Clock>,
    storage: S,
    /// By origin; those too that the configuration names no longer.
    latest: HashMap<String, Latest>,
    /// The newest time of a cosignature, in POSIX seconds.
    newest_time: u64,
    published: Arc<Published>,
}

impl<S: Storage> Cosigner<S> {
    /// A witness that goes on from these notes, the oldest first.
    ///
    /// The storage is written anew: what was read may never have come to the disk. A note that not all keys have signed, for
    /// one of them is new, is cosigned again; so the new key's journal is whole when the old one goes.
    pub(crate) fn new(
        keys: Keys,
        clock: Arc<dyn Clock>,
        storage: S,
        notes: Vec<String>,
        published: Arc<Published>,
    ) -> Result<Self> {
        let (latest, newest_time) = read(&keys.ed25519(), notes).context("the journal cannot be used")?;
        let mut cosigner = Self { keys, clock, storage, latest, newest_time, published };
        cosigner.cosign_again().context("cannot cosign with a new key what the old one has")?;
        cosigner.rewrite().context("cannot write the journal anew")?;
        for (origin, latest) in &cosigner.latest {
            cosigner.published.publish(origin, &latest.note, latest.size);
        }
        Ok(cosigner)
    }

    /// Answers requests until nobody can send any; ends with an error when what was cosigned cannot be stored. Then
    /// nothing is known of the disk, and whoever waits is answered that the witness is not available.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Job>) -> Result<()> {
        let mut jobs = Vec::with_capacity(BATCH);
        while queue.blocking_recv_many(&mut jobs, BATCH) > 0 {
            self.answer(jobs.drain(..)).context("cannot store what was cosigned")?;
        }
        Ok(())
    }

    /// Answers a batch.
    fn answer(&mut self, jobs: impl Iterator<Item = Job>) -> io::Result<()> {
        let mut answers = Vec::new();
        let mut notes = Vec::new();
        let mut origins = Vec::new();
        for Job { submission, answer } in jobs {
            let decided = self.decide(&submission).map(|(time, lines)| {
                let answer = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n") + "\n";
                let (origin, note) = self.remember(submission, time, lines);
                origins.push(origin);
                notes.push(note);
                answer
            });
            answers.push((answer, decided));
        }
        if !notes.is_empty() {
            // A crash before this returns: nobody was answered, and the journal has all of the batch or none of it.
            self.storage.append(&notes.iter().map(AsRef::as_ref).collect::<Vec<_>>())?;
            for origin in &origins {
                let latest = &self.latest[origin];
                self.published.publish(origin, &latest.note, latest.size);
            }
        }
        for (to, answer) in answers {
            // Whoever asked may have gone meanwhile.
            let _ = to.send(answer);
        }
        if self.storage.is_large() {
            self.rewrite()?;
        }
        Ok(())
    }

    /// Whether the checkpoint may follow, and the cosignatures and their time if so. The order of the checks is that of C2SP tlog-witness
    /// 1.0.0.
    fn decide(&self, submission: &Submission) -> Result<(u64, Vec<NoteSignature>), Refusal> {
        let Submission { old_size, proof, checkpoint, note } = submission;
        let empty = (0, Sha2::empty());
        let latest = self.latest.get(&checkpoint.origin);
        let (size, root) = latest.map_or(empty, |latest| (latest.size, latest.root));
        if *old_size != size {
            return Err(Refusal::Conflict(size));
        }
        if checkpoint.size == size && checkpoint.root != root {
            // 409 as the tagged text has it; drafts after it say 422. The answer does not bear a size, for asking again
            // with another one would not help.
            tracing::error!(
                origin = checkpoint.origin,
                cosigned = latest.map_or("", |latest| &latest.note),
                submitted = note.encode(),
                "a log signed two trees of one size"
            );
            return Err(Refusal::OtherRoot(size));
        }
        let consistent = if size == 0 {
            // From nothing everything grows, without a proof.
            if proof.is_empty() { Ok(()) } else { Err(Refused::new(Code::PathTooLong)) }
        } else {
            verify_consistency::<Sha2>(size, checkpoint.size, &root, &checkpoint.root, proof)
        };
        consistent.map_err(|refused| {
            let Checkpoint { origin, size: new, .. } = checkpoint;
            tracing::warn!(origin, from = size, to = new, code = %refused.code(), "a proof does not hold");
            Refusal::Inconsistent(refused)
        })?;
        let time = self.time()?;
        let lines = self.keys.cosign(checkpoint, &note.text, time).map_err(|error| {
            tracing::error!(%error, "cannot sign");
            Refusal::Unavailable
        })?;
        Ok((time, lines))
    }

    /// The time of a cosignature made now: never 0, and never before that of another.
    fn time(&self) -> Result<u64, Refusal> {
        let now = u64::try_from(self.clock.now() / 1_000_000).unwrap_or(0);
        if now == 0 || now.saturating_add(MAX_CLOCK_BACK) < self.newest_time {
            tracing::error!(now, newest = self.newest_time, "the clock is wrong; nothing is cosigned");
            return Err(Refusal::Clock);
        }
        Ok(now.max(self.newest_time))
    }

    /// Makes this the newest checkpoint of its log; gives back its origin and its note.
    fn remember(
        &mut self,
        submission: Submission,
        time: u64,
        lines: Vec<NoteSignature>,
    ) -> (String, Arc<str>) {
        let Submission { checkpoint, mut note, .. } = submission;
        note.signatures.extend(lines);
        let note: Arc<str> = note.encode().into();
        let latest = Latest { size: checkpoint.size, root: checkpoint.root, note: Arc::clone(&note) };
        self.latest.insert(checkpoint.origin.clone(), latest);
        self.newest_time = time;
        (checkpoint.origin, note)
    }

    fn cosign_again(&mut self) -> Result<()> {
        for origin in self.latest.keys().cloned().collect::<Vec<_>>() {
            let Some(latest) = self.latest.get(&origin) else { continue };
            let mut note = SignedNote::parse(&latest.note)?;
            if self.keys.have_signed(&note) {
                continue;
            }
            let time = self.time()?;
            let checkpoint = Checkpoint { origin: origin.clone(), size: latest.size, root: latest.root };
            note.signatures.retain(|line| !self.keys.verifier_keys().iter().any(|key| line.is_by(key)));
            note.signatures.extend(self.keys.cosign(&checkpoint, &note.text, time)?);
            let latest = Latest { note: note.encode().into(), ..*latest };
            self.latest.insert(origin, latest);
            self.newest_time = time;
        }
        Ok(())
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let notes: Vec<&str> = self.latest.values().map(|latest| latest.note.as_ref()).collect();
        self.storage.rewrite(&notes)
    }
}

/// Whether a witness that has these keys alone can go on from these notes.
pub(crate) fn check_notes(keys: &[VerifierKey], notes: Vec<String>) -> Result<()> {
    read(keys, notes).map(drop)
}

/// The newest checkpoint of each log in these notes, and the newest time. What the witness itself did not sign, or what
/// goes back, is not from its journal.
fn read(keys: &[VerifierKey], notes: Vec<String>) -> Result<(HashMap<String, Latest>, u64)> {
    let mut latest: HashMap<String, Latest> = HashMap::new();
    for note in notes {
        let Checkpoint { origin, size, root } = Checkpoint::parse_extended(&SignedNote::parse(&note)?.text)?;
        let before = latest.insert(origin, Latest { size, root, note: note.into() });
        ensure!(before.is_none_or(|before| before.size <= size), "a log goes back in it");
    }
    let mut newest_time = 0;
    for Latest { note, .. } in latest.values() {
        let note = SignedNote::parse(note)?;
        let own = note.signatures.iter().rev();
        let mut own =
            own.filter_map(|line| Some((keys.iter().find(|key| line.is_by(key))?, line))).peekable();
        own.peek().context("it was written with another key than the witness has now")?;
        for (key, line) in own {
            let time =
                verify_cosignature(key, &note.text, line).context("a cosignature in it does not verify")?;
            newest_time = newest_time.max(time);
        }
    }
    Ok((latest, newest_time))
}

//! A witness as its HTTP routes see it: what is sent is read and its log's signature verified here, on as many threads as
//! there are; deciding is the cosigner's.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{mpsc, oneshot};
use trialseal_seal::checkpoint::{Checkpoint, log_signatures};
use trialseal_seal::hash::sha256;
use trialseal_seal::note::{SignedNote, VerifierKey};
use trialseal_seal::witness::AddCheckpoint;
use trialseal_seal::{Code, Refused};

use crate::cosigner::{Answer, Job, Submission};
use crate::refusal::Refusal;

/// Requests that may wait for the cosigner; more are answered with 503.
const QUEUE: usize = 4096;

/// What is asked for by reading: the newest cosigned checkpoint of each log, once it is durable.
#[derive(Debug, Default)]
pub(crate) struct Published(RwLock<HashMap<String, Arc<str>>>);

impl Published {
    /// Makes a note the newest of its log.
    pub(crate) fn publish(&self, origin: &str, note: &Arc<str>, size: u64) {
        // Tree sizes below 2^53 are exact.
        #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
        metrics::gauge!("trialseal_witness_tree_size", "origin" => origin.to_owned()).set(size as f64);
        let mut notes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        notes.insert(origin.to_owned(), Arc::clone(note));
    }

    pub(crate) fn newest(&self, origin: &str) -> Option<Arc<str>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(origin).cloned()
    }
}

/// A witness.
#[derive(Debug)]
pub(crate) struct Witness {
    /// The keys of each log, by origin.
    logs: HashMap<String, Vec<VerifierKey>>,
    /// The origin of each log, by the hash that stands in its monitoring address.
    origins: HashMap<String, String>,
    queue: mpsc::Sender<Job>,
    published: Arc<Published>,
}

impl Witness {
    /// A witness of these logs, and the queue that its cosigner has to take requests from.
    pub(crate) fn new(
        logs: HashMap<String, Vec<VerifierKey>>,
        published: Arc<Published>,
    ) -> (Self, mpsc::Receiver<Job>) {
        let origins =
            logs.keys().map(|origin| (sha256(origin.as_bytes()).to_string(), origin.clone())).collect();
        let (queue, jobs) = mpsc::channel(QUEUE);
        (Self { logs, origins, queue, published }, jobs)
    }

    /// Takes the body of a request to `add-checkpoint`; answers when what it led to is durable.
    pub(crate) async fn add_checkpoint(&self, body: &[u8]) -> Answer {
        let submission = self.read(body)?;
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Job { submission, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refusal::Busy,
            mpsc::error::TrySendError::Closed(_) => Refusal::Unavailable,
        })?;
        answered.await.unwrap_or(Err(Refusal::Unavailable))
    }

    /// The newest cosigned checkpoint of the log whose origin has this SHA-256, in lower-case hex.
    pub(crate) fn newest(&self, origin_sha256: &str) -> Option<Arc<str>> {
        self.published.newest(self.origins.get(origin_sha256)?)
    }

    fn read(&self, body: &[u8]) -> Result<Submission, Refusal> {
        let malformed = |code| Refusal::Malformed(Refused::new(code));
        let body = std::str::from_utf8(body).map_err(|_| malformed(Code::AddCheckpointMalformed))?;
        let AddCheckpoint { old_size, proof, note } =
            AddCheckpoint::parse(body).map_err(Refusal::Malformed)?;
        let checkpoint = Checkpoint::parse_extended(&note.text)
            .map_err(|refused| Refusal::Malformed(refused.at("checkpoint")))?;
        let keys = self.logs.get(&checkpoint.origin).ok_or(Refusal::UnknownLog)?;
        let signatures = log_signatures(keys, &note).map_err(Refusal::Signature)?;
        let signatures = signatures.into_iter().cloned().collect();
        if old_size > checkpoint.size {
            return Err(malformed(Code::SizeOrder));
        }
        let note = SignedNote { text: note.text, signatures };
        Ok(Submission { old_size, proof, checkpoint, note })
    }
}

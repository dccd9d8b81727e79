//! Witnesses as the sealer asks them: C2SP tlog-witness, from the log's side.

mod contact;
mod http;

use async_trait::async_trait;
use trialseal_seal::policy;
use trialseal_seal::witness::AddCheckpoint;

pub(crate) use contact::{Contact, ContactError, Cosignature};
pub use http::HttpWitness;

/// A witness that can be asked.
#[async_trait]
pub trait Witness: Send + Sync {
    /// The witness as the publication policy names it.
    fn named(&self) -> &policy::Witness;

    /// Asks for a cosignature.
    async fn add_checkpoint(&self, asked: &AddCheckpoint) -> Result<Answer, WitnessError>;

    /// The newest checkpoint of the log that the witness has cosigned, as a note; `None` where there is none.
    async fn newest(&self, origin: &str) -> Result<Option<String>, WitnessError>;
}

/// What a witness answers to a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Signature lines.
    Cosigned(String),
    /// The size of the tree that it cosigned last, which is another than it was told.
    OtherSize(u64),
}

/// Why there is no answer to go on with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// It could not be reached, or did not answer in time.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It refused; its status code and the beginning of what it said.
    #[error("it refused with {status}: {said}")]
    Refused {
        /// The HTTP status code.
        status: u16,
        /// The first line of its answer.
        said: String,
    },
    /// It answered what no witness should.
    #[error("it answered what a witness should not: {0}")]
    Strange(String),
}

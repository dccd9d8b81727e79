//! What a witness is asked (C2SP tlog-witness): to cosign a checkpoint, with the proof that the log only grew.

use crate::encoding::{base64_encode, base64_hash, decimal};
use crate::hash::Hash;
use crate::note::SignedNote;
use crate::refused::{At, Code, Refused, Result, ensure};

/// The most hashes of a proof: trees of up to 2^63 leaves need no more.
pub const MAX_PROOF_HASHES: usize = 63;

/// The body of a request to `add-checkpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the checkpoint that the witness is thought to have cosigned last; 0 for none.
    pub old_size: u64,
    /// The consistency proof from that size (RFC 6962 section 2.1.2), not yet verified. Empty from size 0.
    pub proof: Vec<Hash>,
    /// The checkpoint, signed by its log.
    pub note: SignedNote,
}

impl AddCheckpoint {
    /// Reads a body: `old <size>`, the proof with one base64 hash a line, an empty line, the checkpoint's note.
    pub fn parse(body: &str) -> Result<Self> {
        let malformed = || Refused::new(Code::AddCheckpointMalformed);
        let (head, note) = body.split_once("\n\n").ok_or_else(malformed)?;
        let mut lines = head.split('\n');
        let old_size =
            lines.next().and_then(|line| decimal(line.strip_prefix("old ")?)).ok_or_else(malformed)?;
        // Counted before any is decoded.
        ensure(lines.clone().count() <= MAX_PROOF_HASHES, Code::PathTooLong).at("proof")?;
        let proof = lines.map(base64_hash).collect::<Result<_>>().at("proof")?;
        Ok(Self { old_size, proof, note: SignedNote::parse(note).at("checkpoint")? })
    }

    /// The body.
    pub fn encode(&self) -> String {
        let proof = self.proof.iter().map(|hash| base64_encode(hash.as_bytes()) + "\n");
        format!("old {}\n{}\n{}", self.old_size, proof.collect::<String>(), self.note.encode())
    }
}

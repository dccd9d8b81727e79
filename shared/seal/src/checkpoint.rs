//! Checkpoints of the public log and the cosignatures of witnesses (C2SP tlog-checkpoint and tlog-cosignature).

use std::fmt;

use crate::encoding::{base64_encode, base64_hash, decimal};
use crate::hash::Hash;
use crate::note::{KeyKind, NoteSignature, SignedNote, Signer, VerifierKey, check_key_name};
use crate::refused::{Code, Refused, Result, ensure};

/// The state of a log: how many entries it has, and their tree's root. Extension lines are not allowed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's origin.
    pub origin: String,
    /// The number of entries, at most 2^63 − 1.
    pub size: u64,
    /// The root of the SHA-256 tree over them.
    pub root: Hash,
}

impl fmt::Display for Checkpoint {
    /// The text that is signed: three lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, base64_encode(self.root.as_bytes()))
    }
}

impl Checkpoint {
    /// Reads a note's text.
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = || Refused::new(Code::CheckpointMalformed);
        let lines: Vec<_> = text.strip_suffix('\n').ok_or_else(malformed)?.split('\n').collect();
        let [origin, size, root] = lines[..] else { return Err(malformed()) };
        check_key_name(origin).map_err(|_| malformed())?;
        let size = decimal(size).ok_or_else(malformed)?;
        Ok(Self { origin: origin.into(), size, root: base64_hash(root)? })
    }

    /// Reads a note's text as witnesses have to, who cosign for any log: extension lines, none of them empty, may follow
    /// the three, and the origin may be any line that is not empty. What the extensions say is left unread.
    pub fn parse_extended(text: &str) -> Result<Self> {
        let malformed = || Refused::new(Code::CheckpointMalformed);
        let mut lines = text.strip_suffix('\n').ok_or_else(malformed)?.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(malformed());
        };
        ensure(!origin.is_empty() && lines.all(|line| !line.is_empty()), Code::CheckpointMalformed)?;
        let size = decimal(size).ok_or_else(malformed)?;
        Ok(Self { origin: origin.into(), size, root: base64_hash(root)? })
    }

    /// The checkpoint as a note signed by its log. The signer has to be one for logs, named as the origin.
    pub fn sign(&self, log: &Signer) -> Result<SignedNote> {
        self.sign_with(std::slice::from_ref(log))
    }

    /// The checkpoint as a note signed with each of its log's keys, of which there are several while one takes the place
    /// of another. There has to be one ([`Code::LogSignatureMissing`]).
    pub fn sign_with(&self, keys: &[Signer]) -> Result<SignedNote> {
        ensure(!keys.is_empty(), Code::LogSignatureMissing)?;
        let text = self.to_string();
        let mut signatures = Vec::new();
        for key in keys {
            ensure(key.kind() == KeyKind::Ed25519, Code::KeyKind)?;
            ensure(key.name() == self.origin, Code::KeyName)?;
            signatures.push(key.sign(&[], text.as_bytes()));
        }
        Ok(SignedNote { text, signatures })
    }
}

/// What an Ed25519 cosignature is over.
fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// What an ML-DSA-44 cosignature of a checkpoint is over (C2SP tlog-cosignature, "ML-DSA-44 signed message"): the whole tree
/// as a subtree, at `time` (POSIX seconds), under the cosigner's name. Extension lines are not part of it. A name or an
/// origin that is empty or has more than 255 bytes is [`Code::KeyName`].
pub fn ml_dsa_44_message(cosigner: &str, time: u64, checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    let opaque = |text: &str| {
        let length = u8::try_from(text.len()).ok().filter(|length| *length > 0);
        let length = length.ok_or_else(|| Refused::new(Code::KeyName))?;
        Ok([&[length], text.as_bytes()].concat())
    };
    let start: u64 = 0;
    let parts: [&[u8]; 7] = [
        b"subtree/v1\n\0",
        &opaque(cosigner)?,
        &time.to_be_bytes(),
        &opaque(&checkpoint.origin)?,
        &start.to_be_bytes(),
        &checkpoint.size.to_be_bytes(),
        checkpoint.root.as_bytes(),
    ];
    Ok(parts.concat())
}

/// A witness's cosignature of a checkpoint's text, made at `time` (POSIX seconds). The signer has to be one for
/// witnesses.
pub fn cosign(witness: &Signer, text: &str, time: u64) -> Result<NoteSignature> {
    ensure(witness.kind() == KeyKind::Cosignature, Code::KeyKind)?;
    Ok(witness.sign(&time.to_be_bytes(), cosigned(text, time).as_bytes()))
}

/// Verifies a log's signature of a checkpoint's text.
pub fn verify_log_signature(key: &VerifierKey, text: &str, line: &NoteSignature) -> Result<()> {
    let holds = key.kind() == KeyKind::Ed25519 && key.verifies(text.as_bytes(), &line.signature);
    ensure(line.is_by(key) && holds, Code::LogSignature)
}

/// The signatures of a checkpoint's note that a log's keys made, in the order of their lines. There has to be one
/// ([`Code::LogSignatureMissing`]), and none may be wrong ([`Code::LogSignature`]); lines of other keys are passed over.
pub fn log_signatures<'a>(keys: &[VerifierKey], note: &'a SignedNote) -> Result<Vec<&'a NoteSignature>> {
    let mut good = Vec::new();
    for line in &note.signatures {
        if let Some(key) = keys.iter().find(|key| line.is_by(key)) {
            verify_log_signature(key, &note.text, line)?;
            good.push(line);
        }
    }
    ensure(!good.is_empty(), Code::LogSignatureMissing)?;
    Ok(good)
}

/// Verifies a witness's cosignature of a checkpoint's text; gives back its time in POSIX seconds, at most 2^63 − 1.
pub fn verify_cosignature(key: &VerifierKey, text: &str, line: &NoteSignature) -> Result<u64> {
    let refused = || Refused::new(Code::Cosignature);
    ensure(key.kind() == KeyKind::Cosignature && line.is_by(key), Code::Cosignature)?;
    let (time, signature) = line.signature.split_first_chunk().ok_or_else(refused)?;
    let time = u64::from_be_bytes(*time);
    let in_range = time <= i64::MAX.unsigned_abs();
    ensure(in_range && key.verifies(cosigned(text, time).as_bytes(), signature), Code::Cosignature)?;
    Ok(time)
}

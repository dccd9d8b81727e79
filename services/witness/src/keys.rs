//! The keys that cosign: Ed25519 in any case, two of them while one takes the place of the other; ML-DSA-44 beside it where
//! the witness has such a key.

use anyhow::{Result, ensure};
use aws_lc_rs::signature::{KeyPair as _, ML_DSA_44_SIGNING, PqdsaKeyPair};
use trialseal_seal::checkpoint::{Checkpoint, cosign, ml_dsa_44_message};
use trialseal_seal::note::{KeyKind, NoteSignature, SignedNote, Signer, VerifierKey};

/// Bytes of an ML-DSA-44 signature (FIPS 204).
const ML_DSA_44_BYTES: usize = 2420;

/// A witness's keys.
#[derive(Debug)]
pub(crate) struct Keys {
    /// The oldest first.
    ed25519: Vec<Signer>,
    ml_dsa_44: Option<MlDsa44>,
}

/// An ML-DSA-44 key. It is no key of the pure crates', which know its public half alone: the library is C code.
#[derive(Debug)]
struct MlDsa44 {
    pair: PqdsaKeyPair,
    verifier: VerifierKey,
}

impl Keys {
    /// The keys of these seeds under a witness's name; of Ed25519 the oldest first, and at least one.
    pub(crate) fn new<'a>(
        name: &str,
        ed25519: impl IntoIterator<Item = &'a [u8; 32]>,
        ml_dsa_44: Option<&[u8; 32]>,
    ) -> Result<Self> {
        let signer = |seed| Signer::new(name, KeyKind::Cosignature, seed);
        let ed25519 = ed25519.into_iter().map(signer).collect::<Result<Vec<_>, _>>()?;
        ensure!(!ed25519.is_empty(), "a witness needs an Ed25519 key");
        let ml_dsa_44 = ml_dsa_44.map(|seed| MlDsa44::new(name, seed)).transpose()?;
        Ok(Self { ed25519, ml_dsa_44 })
    }

    /// The Ed25519 keys' public halves, the oldest first.
    pub(crate) fn ed25519(&self) -> Vec<VerifierKey> {
        self.ed25519.iter().map(Signer::verifier_key).collect()
    }

    /// Whether each of the keys has signed this note.
    pub(crate) fn have_signed(&self, note: &SignedNote) -> bool {
        self.verifier_keys().iter().all(|key| note.signatures.iter().any(|line| line.is_by(key)))
    }

    /// All public halves, Ed25519 first.
    pub(crate) fn verifier_keys(&self) -> Vec<VerifierKey> {
        let further = self.ml_dsa_44.iter().map(|key| key.verifier.clone());
        self.ed25519().into_iter().chain(further).collect()
    }

    /// One cosignature with each key, all of them at `time`. `text` is the checkpoint's.
    pub(crate) fn cosign(
        &self,
        checkpoint: &Checkpoint,
        text: &str,
        time: u64,
    ) -> Result<Vec<NoteSignature>> {
        let lines = self.ed25519.iter().map(|key| cosign(key, text, time));
        let mut lines = lines.collect::<Result<Vec<_>, _>>()?;
        if let Some(key) = &self.ml_dsa_44 {
            lines.push(key.cosign(checkpoint, time)?);
        }
        Ok(lines)
    }
}

impl MlDsa44 {
    fn new(name: &str, seed: &[u8; 32]) -> Result<Self> {
        let pair = PqdsaKeyPair::from_seed(&ML_DSA_44_SIGNING, seed)?;
        let verifier = VerifierKey::ml_dsa_44(name, pair.public_key().as_ref())?;
        Ok(Self { pair, verifier })
    }

    fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> Result<NoteSignature> {
        let message = ml_dsa_44_message(self.verifier.name(), time, checkpoint)?;
        let mut signature = [0; ML_DSA_44_BYTES];
        ensure!(self.pair.sign(&message, &mut signature)? == ML_DSA_44_BYTES, "the signature is cut short");
        Ok(NoteSignature {
            name: self.verifier.name().to_owned(),
            key_id: self.verifier.id(),
            signature: [&time.to_be_bytes(), signature.as_slice()].concat(),
        })
    }
}

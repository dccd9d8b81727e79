//! Signed notes and their keys (C2SP signed-note): text that people can read, with signatures below it.
//!
//! Ed25519 keys (type 0x01) and Ed25519 cosignature keys (0x04) sign and verify here; ML-DSA-44 cosignature keys (0x06)
//! are recognised but not verified.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::encoding::{base64_decode, base64_encode};
use crate::hash::{decode_hex, encode_hex, sha256};
use crate::refused::{At, Code, Refused, Result, ensure};

/// The largest note that is read, in bytes. A checkpoint with [`MAX_SIGNATURES`] signatures of 2,420 bytes, which is
/// what ML-DSA-44 takes, stays below.
pub const MAX_NOTE_BYTES: usize = 512 * 1024;
/// The most signatures a note may have. C2SP asks for at least 16 to be accepted; every one may cost a verification, so
/// there has to be an end.
pub const MAX_SIGNATURES: usize = 100;

const ED25519_KEY_BYTES: usize = 32;
const ML_DSA_44_KEY_BYTES: usize = 1312;

/// What a key of a note signs, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// 0x01: Ed25519 over the note's text; logs sign so.
    Ed25519,
    /// 0x04: Ed25519 over a time and the note's text; witnesses sign so.
    Cosignature,
    /// 0x06: ML-DSA-44 over a time and the note's text; recognised, not verified.
    MlDsa44,
}

impl KeyKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
            Self::MlDsa44 => 0x06,
        }
    }
}

/// The first four bytes of a hash of name, kind and key, by which a signature says who made it.
pub type KeyId = [u8; 4];

pub(crate) fn key_id(name: &str, typed_key: &[u8]) -> KeyId {
    let hash = sha256(&[name.as_bytes(), b"\n", typed_key].concat());
    let [a, b, c, d, ..] = *hash.as_bytes();
    [a, b, c, d]
}

/// Splits `<name>+<hex key id>+<base64>` into the name and the bytes, whose key id is right.
pub(crate) fn split_verifier_key(text: &str) -> Result<(&str, Vec<u8>)> {
    let malformed = || Refused::new(Code::KeyMalformed);
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(typed_key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(malformed());
    };
    check_key_name(name)?;
    let typed_key = base64_decode(typed_key)?;
    let id: KeyId = decode_hex(id).ok_or_else(malformed)?;
    ensure(id == key_id(name, &typed_key), Code::KeyId)?;
    Ok((name, typed_key))
}

/// Key names are not empty and have neither spaces nor `+`; another one is [`Code::KeyName`].
pub fn check_key_name(name: &str) -> Result<()> {
    let allowed = |character: char| !character.is_whitespace() && !character.is_control() && character != '+';
    ensure(!name.is_empty() && name.chars().all(allowed), Code::KeyName)
}

/// An Ed25519 public key in its one canonical form and not of small order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StrictKey(VerifyingKey);

impl StrictKey {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let bytes: &[u8; ED25519_KEY_BYTES] =
            bytes.try_into().map_err(|_| Refused::new(Code::KeyMalformed))?;
        ensure(is_reduced(bytes), Code::KeyWeak)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| Refused::new(Code::KeyMalformed))?;
        ensure(!key.is_weak(), Code::KeyWeak)?;
        Ok(Self(key))
    }

    /// The public half of a key that was made here, and so is what `parse` asks for.
    pub(crate) fn of(key: &SigningKey) -> Self {
        Self(key.verifying_key())
    }

    pub(crate) fn bytes(&self) -> &[u8; ED25519_KEY_BYTES] {
        self.0.as_bytes()
    }

    /// S below the group order, R canonical and not of small order, no cofactor: `verify_strict` sees to it.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let signature = Signature::from_slice(signature);
        signature.is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

/// Whether the y coordinate of a compressed point is below 2^255 − 19, as in its canonical form.
fn is_reduced(key: &[u8; ED25519_KEY_BYTES]) -> bool {
    let high_ones = key[31] & 0x7f == 0x7f && key[1..31].iter().all(|byte| *byte == 0xff);
    !(high_ones && key[0] >= 0xed)
}

/// A public key with its name: `<name>+<hex key id>+<base64(type byte ‖ key)>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    key: PublicKey,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PublicKey {
    Ed25519(StrictKey),
    /// The bytes of a key that is not verified with.
    Unchecked(Vec<u8>),
}

impl VerifierKey {
    /// The ML-DSA-44 cosignature key of this name; any other number of bytes than 1,312 is [`Code::KeyMalformed`].
    pub fn ml_dsa_44(name: &str, key: &[u8]) -> Result<Self> {
        check_key_name(name)?;
        ensure(key.len() == ML_DSA_44_KEY_BYTES, Code::KeyMalformed)?;
        Ok(Self { name: name.into(), kind: KeyKind::MlDsa44, key: PublicKey::Unchecked(key.to_vec()) })
    }

    /// The name: the origin for a log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the key signs.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The id that signatures of this key carry.
    pub fn id(&self) -> KeyId {
        key_id(&self.name, &self.typed_key())
    }

    /// The public key without its type byte: 32 bytes, or 1,312 for ML-DSA-44.
    pub fn public_key(&self) -> &[u8] {
        match &self.key {
            PublicKey::Ed25519(key) => key.bytes(),
            PublicKey::Unchecked(bytes) => bytes,
        }
    }

    fn typed_key(&self) -> Vec<u8> {
        [&[self.kind.byte()], self.public_key()].concat()
    }

    /// Whether `signature` is a signature of `message` under this key. Never true for ML-DSA-44.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            PublicKey::Ed25519(key) => key.verifies(message, signature),
            PublicKey::Unchecked(_) => false,
        }
    }
}

impl FromStr for VerifierKey {
    type Err = Refused;

    /// Reads and checks a key: its id is right, an Ed25519 key is canonical and not of small order.
    fn from_str(text: &str) -> Result<Self> {
        let (name, typed_key) = split_verifier_key(text)?;
        let (kind, key) = match typed_key.split_first() {
            Some((0x01, key)) => (KeyKind::Ed25519, PublicKey::Ed25519(StrictKey::parse(key)?)),
            Some((0x04, key)) => (KeyKind::Cosignature, PublicKey::Ed25519(StrictKey::parse(key)?)),
            Some((0x06, key)) if key.len() == ML_DSA_44_KEY_BYTES => {
                (KeyKind::MlDsa44, PublicKey::Unchecked(key.to_vec()))
            }
            Some((0x06, _)) | None => return Err(Refused::new(Code::KeyMalformed)),
            Some(_) => return Err(Refused::new(Code::KeyKind)),
        };
        Ok(Self { name: name.into(), kind, key })
    }
}

impl VerifierKey {
    /// The same as [`FromStr`].
    pub fn parse(text: &str) -> Result<Self> {
        text.parse()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}+{}", self.name, encode_hex(&self.id()), base64_encode(self.typed_key()))
    }
}

/// A private Ed25519 key with its name. Wiped from memory when dropped.
#[derive(Clone)]
pub struct Signer {
    name: String,
    kind: KeyKind,
    key: SigningKey,
}

impl Signer {
    /// The key of a 32-byte seed. `kind` is that of a log ([`KeyKind::Ed25519`]) or a witness
    /// ([`KeyKind::Cosignature`]); other kinds are refused.
    pub fn new(name: &str, kind: KeyKind, seed: &[u8; 32]) -> Result<Self> {
        check_key_name(name)?;
        ensure(kind != KeyKind::MlDsa44, Code::KeyKind)?;
        Ok(Self { name: name.into(), kind, key: SigningKey::from_bytes(seed) })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the key signs.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public half.
    pub fn verifier_key(&self) -> VerifierKey {
        let key = PublicKey::Ed25519(StrictKey::of(&self.key));
        VerifierKey { name: self.name.clone(), kind: self.kind, key }
    }

    /// A signature line over `message`; `prefix` stands before the signature in it.
    pub(crate) fn sign(&self, prefix: &[u8], message: &[u8]) -> NoteSignature {
        let signature = self.key.sign(message).to_bytes();
        NoteSignature {
            name: self.name.clone(),
            key_id: self.verifier_key().id(),
            signature: [prefix, &signature].concat(),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// One signature line of a note, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub key_id: KeyId,
    /// What follows the key id; how it is made up depends on the kind of key.
    pub signature: Vec<u8>,
}

impl NoteSignature {
    /// Reads a line without its newline: `— <name> <base64(key id ‖ signature)>`.
    pub fn parse(line: &str) -> Result<Self> {
        let malformed = || Refused::new(Code::NoteMalformed);
        let (name, bytes) =
            line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or_else(malformed)?;
        check_key_name(name)?;
        let bytes = base64_decode(bytes)?;
        let (key_id, signature) = bytes.split_first_chunk().ok_or_else(malformed)?;
        ensure(!signature.is_empty(), Code::NoteMalformed)?;
        Ok(Self { name: name.into(), key_id: *key_id, signature: signature.to_vec() })
    }

    /// Whether it says it was made by `key`.
    pub fn is_by(&self, key: &VerifierKey) -> bool {
        self.name == key.name() && self.key_id == key.id()
    }
}

impl fmt::Display for NoteSignature {
    /// The line without its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_id, self.signature.as_slice()].concat();
        write!(f, "— {} {}", self.name, base64_encode(bytes))
    }
}

/// A note: its text, which ends in a newline, and one or more signatures, none of them verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    /// What is signed, its final newline included.
    pub text: String,
    /// The signatures in the order of their lines.
    pub signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Reads a note. More than [`MAX_NOTE_BYTES`] or [`MAX_SIGNATURES`] is [`Code::NoteTooLarge`].
    pub fn parse(note: &str) -> Result<Self> {
        ensure(note.len() <= MAX_NOTE_BYTES, Code::NoteTooLarge)?;
        let readable = note.chars().all(|character| character >= ' ' || character == '\n');
        ensure(readable, Code::NoteMalformed)?;
        let end = note.rfind("\n\n").ok_or_else(|| Refused::new(Code::NoteMalformed))?;
        let (text, lines) = (&note[..=end], &note[end + 2..]);
        let lines = lines.strip_suffix('\n').ok_or_else(|| Refused::new(Code::NoteMalformed))?;
        ensure(lines.split('\n').count() <= MAX_SIGNATURES, Code::NoteTooLarge)?;
        let signature = |(place, line)| NoteSignature::parse(line).at(format_args!("signature {place}"));
        Ok(Self {
            text: text.into(),
            signatures: lines.split('\n').enumerate().map(signature).collect::<Result<_>>()?,
        })
    }

    /// The note's bytes.
    pub fn encode(&self) -> String {
        self.signatures.iter().fold(format!("{}\n", self.text), |note, line| format!("{note}{line}\n"))
    }
}

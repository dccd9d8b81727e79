//! Hashes, and the two ways in which trees are hashed (section 1 of the format).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Sha256;
use sha3::{Digest, Sha3_256};

use crate::lanes::Messages;
use crate::refused::{Code, Refused, Result};

/// A hash of 32 bytes, SHA3-256 or SHA-256 as its place says. Written as 64 lower-case hex digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// 32 zero bytes: an empty place of the trial map, and the `prior` of a seal that has none.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash with exactly these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its 64 lower-case hex digits, without an allocation.
    pub(crate) fn hex(&self) -> [u8; 64] {
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        digits
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Reads exactly `2 * N` lower-case hex digits.
pub(crate) fn decode_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |character: u8| match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Writes bytes as lower-case hex digits.
pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(HEX[usize::from(digit)]))
        .collect()
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.hex()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = Refused;

    /// Reads 64 lower-case hex digits; anything else is [`Code::HashMalformed`].
    fn from_str(text: &str) -> Result<Self> {
        decode_hex(text).map(Self).ok_or_else(|| Refused::new(Code::HashMalformed))
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = Refused;

    /// Takes exactly 32 bytes; any other length is [`Code::HashMalformed`].
    fn try_from(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(Self).map_err(|_| Refused::new(Code::HashMalformed))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// How a tree in the shape of RFC 9162 section 2.1 is hashed.
pub trait TreeHash {
    /// The root of the tree without leaves: the hash of nothing.
    fn empty() -> Hash;
    /// The hash of a leaf whose content is `parts`, joined: `H(0x00 ‖ parts)`.
    fn leaf(parts: &[&[u8]]) -> Hash;
    /// The hash of an inner node: `H(0x01 ‖ left ‖ right)`.
    fn node(left: &Hash, right: &Hash) -> Hash;
    /// [`node`](Self::node) of many pairs of children, in their order.
    fn nodes(children: &[(Hash, Hash)]) -> Vec<Hash> {
        children.iter().map(|(left, right)| Self::node(left, right)).collect()
    }
}

/// SHA3-256: every tree of ours, and the nodes of the trial map.
#[derive(Clone, Copy, Debug)]
pub struct Sha3;

/// SHA-256: the public log, as C2SP tlog-tiles demands.
#[derive(Clone, Copy, Debug)]
pub struct Sha2;

/// What comes before the content of a leaf.
pub(crate) const LEAF: &[u8] = &[0];
/// What comes before the two children of an inner node.
pub(crate) const NODE: &[u8] = &[1];

fn digest<D: Digest>(prefix: &[u8], parts: &[&[u8]]) -> D {
    parts.iter().fold(D::new().chain_update(prefix), D::chain_update)
}

impl TreeHash for Sha3 {
    fn empty() -> Hash {
        sha3_256(&[])
    }
    fn leaf(parts: &[&[u8]]) -> Hash {
        Hash(digest::<Sha3_256>(LEAF, parts).finalize().into())
    }
    fn node(left: &Hash, right: &Hash) -> Hash {
        Hash(digest::<Sha3_256>(NODE, &[&left.0, &right.0]).finalize().into())
    }
    fn nodes(children: &[(Hash, Hash)]) -> Vec<Hash> {
        let mut messages = Messages::with_capacity(children.len(), 65);
        for (left, right) in children {
            messages.push(&[NODE, &left.0, &right.0]);
        }
        messages.sha3_256().into_iter().map(Hash).collect()
    }
}

impl TreeHash for Sha2 {
    fn empty() -> Hash {
        sha256(&[])
    }
    fn leaf(parts: &[&[u8]]) -> Hash {
        Hash(digest::<Sha256>(LEAF, parts).finalize().into())
    }
    fn node(left: &Hash, right: &Hash) -> Hash {
        Hash(digest::<Sha256>(NODE, &[&left.0, &right.0]).finalize().into())
    }
}

/// SHA-256 of `bytes`: key ids, `prior`, file digests.
pub fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// SHA3-256 of `parts`, joined, without a prefix of its own.
pub fn sha3_256(parts: &[&[u8]]) -> Hash {
    Hash(digest::<Sha3_256>(&[], parts).finalize().into())
}

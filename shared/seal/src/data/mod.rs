//! An event's data and the commitment to it, field by field (section 3 of the format).
//!
//! Every field is hashed with a salt of its own, drawn from the event's secret; the data root commits to all of them.
//! Whoever has the secret can show any of the fields and keep the others hidden ([`disclose`]); once secret and data
//! are destroyed, the root says nothing about either.

mod disclosure;

use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use zeroize::{Zeroize, ZeroizeOnDrop};

pub(crate) use disclosure::check_pointer;
pub use disclosure::{Content, Disclosure, Field, Shown};

use crate::canonical::{check_data, write_value};
use crate::hash::{Hash, LEAF, NODE, Sha3, TreeHash, decode_hex, encode_hex, sha3_256};
use crate::lanes::Messages;
use crate::refused::{Code, Refused, Result};

const SALT_DOMAIN: &[u8] = b"trialseal/salt/v1\n";
const FIELD_DOMAIN: &[u8] = b"trialseal/field/v1\n";
const DATA_DOMAIN: &[u8] = b"trialseal/data/v1\n";

/// The 32 random bytes from which an event's salts are drawn. Wiped from memory when dropped, never shown by `Debug`;
/// as text and in serde it is 64 lower-case hex digits.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The secret with exactly these bytes, which the caller drew from a cryptographic source.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its text. The caller answers for where that goes.
    pub fn to_hex(&self) -> String {
        encode_hex(&self.0)
    }

    fn salt(&self, pointer: &str) -> Salt {
        salt_in(sha3_256(&[SALT_DOMAIN, &self.0, pointer.as_bytes()]).as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl FromStr for Secret {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self> {
        decode_hex(text).map(Self).ok_or_else(|| Refused::new(Code::SecretMalformed))
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The salt of one field.
pub type Salt = [u8; 16];

/// What a field's leaf and the message that gives its salt come to, in bytes, where pointer and value are short.
const LEAF_BYTES: usize = 128;

/// The salt is the first half of a hash.
fn salt_in(hash: &[u8; 32]) -> Salt {
    let mut salt = [0; 16];
    salt.copy_from_slice(&hash[..16]);
    salt
}

/// The data root of `data` under `secret`.
///
/// Refuses data that section 2 of the format does not allow ([`check_data`]).
pub fn dataroot(secret: &Secret, data: &Value) -> Result<Hash> {
    check_data(data)?;
    let walk = Walk::over(data);
    let fields = walk.fields.len();
    let mut salted = Messages::with_capacity(fields, LEAF_BYTES);
    for (pointer, _) in walk.fields() {
        salted.push(&[SALT_DOMAIN, &secret.0, pointer.as_bytes()]);
    }
    let mut contents = Messages::with_capacity(fields, LEAF_BYTES);
    let mut json = Vec::new();
    for ((pointer, part), hash) in walk.fields().zip(salted.sha3_256()) {
        json.clear();
        part.write(&mut json);
        let length = be32(pointer.len());
        contents.push(&[LEAF, FIELD_DOMAIN, &salt_in(&hash), &length, pointer.as_bytes(), &json]);
    }
    let leaves = contents.sha3_256();
    Ok(root(&leaves))
}

/// The disclosure of `data` that shows the fields whose pointer `show` answers with true, and hides the rest.
///
/// `data` is taken as one that [`dataroot`] accepted.
pub fn disclose(secret: &Secret, data: &Value, show: impl Fn(&str) -> bool) -> Disclosure {
    let walk = Walk::over(data);
    let fields = walk.fields().map(|(pointer, part)| {
        let shown = Shown { pointer: pointer.into(), salt: secret.salt(pointer), content: part.content() };
        if show(pointer) { Field::Shown(shown) } else { Field::Hidden(shown.leaf()) }
    });
    Disclosure { fields: fields.collect() }
}

/// A place in the data that is a field, still borrowed.
#[derive(Clone, Copy)]
enum Part<'a> {
    Scalar(&'a Value),
    Length(usize),
    Empty,
}

impl Part<'_> {
    fn content(self) -> Content {
        match self {
            Self::Scalar(value) => Content::Scalar(value.clone()),
            Self::Length(length) => Content::Length(length as u64),
            Self::Empty => Content::Empty,
        }
    }

    /// The canonical bytes of the content, which have one member only and so need no sorting.
    fn write(self, json: &mut Vec<u8>) {
        match self {
            Self::Scalar(value) => {
                json.extend_from_slice(b"{\"value\":");
                write_value(json, value);
            }
            Self::Length(length) => {
                json.extend_from_slice(b"{\"length\":");
                write_value(json, &Value::from(length));
            }
            Self::Empty => json.extend_from_slice(b"{\"empty\":true"),
        }
        json.push(b'}');
    }
}

/// The fields of one value. All pointers share one text, so that a field costs no allocation of its own.
struct Walk<'a> {
    pointers: String,
    fields: Vec<(Range<usize>, Part<'a>)>,
}

impl<'a> Walk<'a> {
    fn over(data: &'a Value) -> Self {
        let mut walk = Self { pointers: String::with_capacity(1024), fields: Vec::with_capacity(64) };
        walk.visit(data, &mut String::with_capacity(64));
        let pointers = walk.pointers.as_bytes();
        walk.fields.sort_unstable_by(|a, b| pointers[a.0.clone()].cmp(&pointers[b.0.clone()]));
        walk
    }

    fn fields(&self) -> impl Iterator<Item = (&str, Part<'a>)> {
        self.fields.iter().map(|(place, part)| (&self.pointers[place.clone()], *part))
    }

    fn add(&mut self, pointer: &str, part: Part<'a>) {
        let start = self.pointers.len();
        self.pointers.push_str(pointer);
        self.fields.push((start..self.pointers.len(), part));
    }

    fn visit(&mut self, value: &'a Value, pointer: &mut String) {
        let own = pointer.len();
        match value {
            Value::Array(elements) => {
                self.add(pointer, Part::Length(elements.len()));
                for (index, element) in elements.iter().enumerate() {
                    // Writing to a String cannot fail.
                    let _ = write!(pointer, "/{index}");
                    self.visit(element, pointer);
                    pointer.truncate(own);
                }
            }
            Value::Object(members) if members.is_empty() => self.add(pointer, Part::Empty),
            Value::Object(members) => {
                for (name, member) in members {
                    push_segment(pointer, name);
                    self.visit(member, pointer);
                    pointer.truncate(own);
                }
            }
            _ => self.add(pointer, Part::Scalar(value)),
        }
    }
}

fn push_segment(pointer: &mut String, name: &str) {
    pointer.push('/');
    for character in name.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            _ => pointer.push(character),
        }
    }
}

/// A count as the format hashes it. Texts and lists of 4 GiB never get this far.
fn be32(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes()
}

fn leaf(pointer: &str, salt: &Salt, content: &[u8]) -> Hash {
    Sha3::leaf(&[FIELD_DOMAIN, salt, &be32(pointer.len()), pointer.as_bytes(), content])
}

/// The commitment to fields with these leaves. A level of their tree at a time: pairs from the left, and an odd last node
/// moves up as it is (RFC 9162, section 2.1).
fn root(leaves: &[[u8; 32]]) -> Hash {
    let mut level = leaves.to_vec();
    let mut pairs = Messages::with_capacity(leaves.len() / 2, NODE.len() + 64);
    while level.len() > 1 {
        pairs.clear();
        let mut odd = level.chunks_exact(2);
        odd.by_ref().for_each(|pair| pairs.push(&[NODE, &pair[0], &pair[1]]));
        let last = odd.remainder().first().copied();
        level = pairs.sha3_256();
        level.extend(last);
    }
    let root = level.first().map_or_else(Sha3::empty, |root| Hash::from_bytes(*root));
    sha3_256(&[DATA_DOMAIN, &be32(leaves.len()), root.as_bytes()])
}

//! Disclosures: all fields of an event's data, each shown or hidden.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::{Salt, leaf, root};
use crate::canonical::{MAX_DATA_DEPTH, integer, write_value};
use crate::encoding::decimal;
use crate::hash::{Hash, decode_hex, encode_hex};
use crate::members::Members;
use crate::refused::{At, Code, Refused, Result, ensure};

/// What one field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A string, an integer, true, false or null; never an array or an object.
    Scalar(Value),
    /// An array with so many elements, which are fields of their own.
    Length(u64),
    /// An object without members.
    Empty,
}

/// A field that is shown: where it stands in the data, its salt, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// JSON Pointer (RFC 6901) from the top of the data.
    pub pointer: String,
    /// The first 16 bytes of the hash of the event's secret and the pointer.
    pub salt: Salt,
    /// What stands there.
    pub content: Content,
}

/// One field of a disclosure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The field, open to read.
    Shown(Shown),
    /// The leaf of a field that is kept back.
    Hidden(Hash),
}

/// All fields of one event's data, in order, shown or hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosure {
    /// The fields in the order of their pointers' bytes.
    pub fields: Vec<Field>,
}

impl Shown {
    /// Reads `{"pointer", "salt", "value" | "length" | "empty"}`.
    fn parse(value: &Value) -> Result<Self> {
        let members = Members::of(value, &["pointer", "salt"], &["value", "length", "empty"])?;
        let pointer = members.text("pointer")?;
        check_pointer(pointer)?;
        let salt = decode_hex(members.text("salt")?).ok_or_else(|| Refused::new(Code::SaltMalformed))?;
        let contents = ["value", "length", "empty"].map(|name| members.optional(name));
        let content = match contents {
            [Some(scalar), None, None] => match scalar {
                Value::Array(_) | Value::Object(_) => return Err(Refused::new(Code::FieldContent)),
                Value::Number(_) if integer(scalar).is_none() => {
                    return Err(Refused::new(Code::NotAnInteger));
                }
                _ => Content::Scalar(scalar.clone()),
            },
            [None, Some(_), None] => {
                Content::Length(members.number("length").map_err(|_| Refused::new(Code::FieldContent))?)
            }
            [None, None, Some(Value::Bool(true))] => Content::Empty,
            _ => return Err(Refused::new(Code::FieldContent)),
        };
        Ok(Self { pointer: pointer.into(), salt, content })
    }

    fn to_value(&self) -> Value {
        let (name, content) = match &self.content {
            Content::Scalar(scalar) => ("value", scalar.clone()),
            Content::Length(length) => ("length", json!(length)),
            Content::Empty => ("empty", json!(true)),
        };
        json!({ "pointer": self.pointer, "salt": encode_hex(&self.salt), name: content })
    }

    pub(super) fn leaf(&self) -> Hash {
        let mut json = Vec::with_capacity(64);
        let name = match &self.content {
            Content::Scalar(scalar) => json!({ "value": scalar }),
            Content::Length(length) => json!({ "length": length }),
            Content::Empty => json!({ "empty": true }),
        };
        write_value(&mut json, &name);
        leaf(&self.pointer, &self.salt, &json)
    }
}

/// A JSON Pointer no deeper than data can be.
pub(crate) fn check_pointer(pointer: &str) -> Result<()> {
    let mut segments = pointer.split('/');
    ensure(segments.next() == Some(""), Code::PointerMalformed)?;
    for (above, segment) in segments.enumerate() {
        let escapes = segment.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
        ensure(escapes, Code::PointerMalformed)?;
        // The top value is nested 1 deep, what the first segment leads to 2.
        ensure(above + 2 <= MAX_DATA_DEPTH, Code::TooDeep)?;
    }
    Ok(())
}

impl Disclosure {
    /// Reads a list of shown fields (objects) and hidden ones (leaves in hex). That they fit together is for
    /// [`verify`](Self::verify) to say.
    pub fn parse(value: &Value) -> Result<Self> {
        let list = value.as_array().ok_or_else(|| Refused::new(Code::MemberType))?;
        let field = |(place, field): (usize, &Value)| {
            let field = match field {
                Value::String(leaf) => leaf.parse().map(Field::Hidden),
                shown => Shown::parse(shown).map(Field::Shown),
            };
            field.at(place)
        };
        Ok(Self { fields: list.iter().enumerate().map(field).collect::<Result<_>>()? })
    }

    /// The list as the format writes it.
    pub fn to_value(&self) -> Value {
        let field = |field: &Field| match field {
            Field::Shown(shown) => shown.to_value(),
            Field::Hidden(leaf) => json!(leaf),
        };
        self.fields.iter().map(field).collect()
    }

    /// Hides the fields whose pointer `hide` answers with true. Their leaves stay, so the data root is the same.
    #[must_use]
    pub fn hiding(self, hide: impl Fn(&str) -> bool) -> Self {
        let fields = self.fields.into_iter().map(|field| match field {
            Field::Shown(shown) if hide(&shown.pointer) => Field::Hidden(shown.leaf()),
            field => field,
        });
        Self { fields: fields.collect() }
    }

    /// The data as far as they are shown, with these values where the others stood. Elements of lists that are neither are null.
    ///
    /// The fields are taken as some that [`verify`](Self::verify) accepted.
    pub fn to_data<'a>(&'a self, instead: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
        let mut data = json!({});
        for shown in self.shown() {
            let value = match &shown.content {
                Content::Scalar(scalar) => scalar.clone(),
                // Every element has a field of its own, so a list is no longer than the fields are many.
                Content::Length(length) => {
                    let length = usize::try_from(*length).unwrap_or(usize::MAX).min(self.fields.len());
                    vec![Value::Null; length].into()
                }
                Content::Empty => json!({}),
            };
            put(&mut data, &shown.pointer, value);
        }
        for (pointer, value) in instead {
            put(&mut data, pointer, value);
        }
        data
    }

    /// The fields that are shown, in order.
    pub fn shown(&self) -> impl Iterator<Item = &Shown> {
        self.fields.iter().filter_map(|field| match field {
            Field::Shown(shown) => Some(shown),
            Field::Hidden(_) => None,
        })
    }

    /// Checks that the fields give `dataroot`, and that what is shown is part of one JSON object.
    pub fn verify(&self, dataroot: &Hash) -> Result<()> {
        ensure(!self.fields.is_empty(), Code::NoFields)?;
        self.check_order()?;
        self.check_object()?;
        let leaf = |field: &Field| match field {
            Field::Shown(shown) => *shown.leaf().as_bytes(),
            Field::Hidden(leaf) => *leaf.as_bytes(),
        };
        let leaves: Vec<_> = self.fields.iter().map(leaf).collect();
        ensure(root(&leaves) == *dataroot, Code::DataRoot)
    }

    fn check_order(&self) -> Result<()> {
        let pointers: Vec<_> = self.shown().map(|shown| shown.pointer.as_bytes()).collect();
        ensure(pointers.is_sorted_by(|a, b| a < b), Code::FieldOrder)
    }

    /// The shown fields do not contradict each other as parts of one object; where none is hidden, they are all of it.
    fn check_object(&self) -> Result<()> {
        let top = self.shown().find(|shown| shown.pointer.is_empty());
        if let Some(top) = top {
            let alone = self.fields.len() == 1 && top.content == Content::Empty;
            return ensure(alone, Code::FieldsNotAnObject);
        }
        let contents: HashMap<&str, &Content> =
            self.shown().map(|shown| (shown.pointer.as_str(), &shown.content)).collect();
        let mut elements = HashSet::new();
        for shown in self.shown() {
            let pointer = shown.pointer.as_str();
            for (slash, _) in pointer.match_indices('/') {
                let Some(above) = contents.get(&pointer[..slash]) else { continue };
                let below = &pointer[slash + 1..];
                let segment = below.split('/').next().unwrap_or(below);
                ensure(holds_element(above, segment), Code::FieldsNotAnObject)?;
                elements.insert(&pointer[..=slash + segment.len()]);
            }
        }
        let lengths = contents.values().filter_map(|content| match content {
            Content::Length(length) => Some(u128::from(*length)),
            Content::Scalar(_) | Content::Empty => None,
        });
        let whole = contents.len() == self.fields.len();
        ensure(!whole || lengths.sum::<u128>() == elements.len() as u128, Code::FieldsIncomplete)
    }
}

/// Puts a value where a pointer leads to. What is missing on the way is an object; lists are there before their elements, as
/// their pointers are shorter.
fn put(data: &mut Value, pointer: &str, value: Value) {
    let mut place = data;
    for segment in pointer.split('/').skip(1) {
        let name = segment.replace("~1", "/").replace("~0", "~");
        place = match place {
            Value::Array(elements) => match decimal(segment).and_then(|index| usize::try_from(index).ok()) {
                Some(index) if index < elements.len() => &mut elements[index],
                _ => return,
            },
            Value::Object(members) => members.entry(name).or_insert(Value::Null),
            other => {
                *other = json!({});
                match other {
                    Value::Object(members) => members.entry(name).or_insert(Value::Null),
                    _ => return,
                }
            }
        };
    }
    *place = value;
}

/// Whether a field with this content may have `segment` below it: an array its indexes, anything else nothing.
fn holds_element(above: &Content, segment: &str) -> bool {
    let Content::Length(length) = above else { return false };
    decimal(segment).is_some_and(|index| index < *length)
}

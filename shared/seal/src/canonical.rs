//! Strict JSON in, canonical JSON out (section 2 of the format, RFC 8785).
//!
//! Reading refuses what the format does not allow: numbers that are not plain integers, keys that stand twice, lone
//! surrogates, deep nesting. An ordinary JSON reader would keep the last of two equal keys and round numbers, so two
//! readers could see two different things in bytes that have one hash.

use std::cell::Cell;
use std::fmt;
use std::io::Write as _;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::refused::{Code, Refused, Result, ensure};

/// The largest integer that every JSON reader keeps exactly: 2^53 − 1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;
/// How deep JSON may be nested; a scalar or an empty object at the top counts 1.
pub const MAX_DEPTH: usize = 64;
/// How deep an event's data may be nested.
pub const MAX_DATA_DEPTH: usize = 32;
/// The most values in one JSON text, counting arrays, objects and what is in them. A value takes up to 80 times the
/// memory of its text, so that a bound on bytes alone would be none. A receipt that shows 200,000 fields stays below.
pub const MAX_VALUES: usize = 1_000_000;

/// Reads one JSON text strictly. `max_depth` bounds the nesting and, with it, the recursion; no more than
/// [`MAX_DEPTH`] is ever allowed, and no more than [`MAX_VALUES`] values.
pub fn parse(text: impl AsRef<[u8]>, max_depth: usize) -> Result<Value> {
    let (broken, values) = (Cell::new(Code::NotJson), Cell::new(0));
    let mut reader = serde_json::Deserializer::from_slice(text.as_ref());
    Strict { room: max_depth.min(MAX_DEPTH), values: &values, broken: &broken }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|_| Refused::new(broken.get()))
}

/// Reads an event's data: an object, nested at most [`MAX_DATA_DEPTH`] deep.
pub fn parse_data(text: impl AsRef<[u8]>) -> Result<Value> {
    let value = parse(text, MAX_DATA_DEPTH)?;
    ensure(value.is_object(), Code::NotAnObject)?;
    Ok(value)
}

/// Checks an event's data that was not read by [`parse_data`]: an object, integers only, not nested too deeply.
/// (Repeated keys and lone surrogates cannot be seen any more in a [`Value`].)
pub fn check_data(value: &Value) -> Result<()> {
    ensure(value.is_object(), Code::NotAnObject)?;
    check(value, MAX_DATA_DEPTH)
}

fn check(value: &Value, room: usize) -> Result<()> {
    let Some(inner) = room.checked_sub(1) else { return Err(Refused::new(Code::TooDeep)) };
    match value {
        Value::Number(_) => ensure(integer(value).is_some(), Code::NotAnInteger),
        Value::Array(elements) => elements.iter().try_for_each(|element| check(element, inner)),
        Value::Object(members) => members.values().try_for_each(|member| check(member, inner)),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

/// The integer that a value is, if it is one the format allows.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().filter(|integer| integer.unsigned_abs() <= MAX_INTEGER)
}

/// One value, `room` levels deep at most. What was wrong is left in `broken`, because serde's errors are texts.
#[derive(Clone, Copy)]
struct Strict<'a> {
    room: usize,
    /// How many values were read so far.
    values: &'a Cell<usize>,
    broken: &'a Cell<Code>,
}

impl Strict<'_> {
    fn refuse<T, E: Error>(self, code: Code) -> Result<T, E> {
        self.broken.set(code);
        Err(E::custom(code))
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.room == 0 {
            return self.refuse(Code::TooDeep);
        }
        if self.values.replace(self.values.get() + 1) == MAX_VALUES {
            return self.refuse(Code::TooManyValues);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        if value > MAX_INTEGER { self.refuse(Code::NotAnInteger) } else { Ok(Value::from(value)) }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > MAX_INTEGER {
            self.refuse(Code::NotAnInteger)
        } else {
            Ok(Value::from(value))
        }
    }

    /// Fractions, exponents, `-0` and integers beyond 64 bits all arrive here.
    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        self.refuse(Code::NotAnInteger)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = Self { room: self.room - 1, ..self };
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = Self { room: self.room - 1, ..self };
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return self.refuse(Code::DuplicateKey);
            }
            let value = members.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// The canonical bytes of a value, `JCS(value)`. Exact for what [`parse`] and [`check_data`] let through; numbers that
/// are not integers have no canonical form in this format and are written as serde_json writes them.
pub fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write_value(&mut out, value);
    out
}

pub(crate) fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{number}");
        }
        Value::String(text) => write_string(out, text),
        Value::Array(elements) => {
            out.push(b'[');
            for (place, element) in elements.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_value(out, element);
            }
            out.push(b']');
        }
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_unstable_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
            out.push(b'{');
            for (place, (key, member)) in members.into_iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_string(out, key);
                out.push(b':');
                write_value(out, member);
            }
            out.push(b'}');
        }
    }
}

/// A JSON string, escaped as RFC 8785 section 3.2.2.2 demands: as little as JSON allows.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut written = 0;
    for (place, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            0x00..=0x1f => 0,
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[written..place]);
        written = place + 1;
        if short == 0 {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&text.as_bytes()[written..]);
    out.push(b'"');
}

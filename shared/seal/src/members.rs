//! Reading JSON objects that have exactly the members a format lists.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::canonical::integer;
use crate::hash::Hash;
use crate::refused::{At, Code, Refused, Result, ensure};

/// An object that was found to have every required member and no unknown one.
#[derive(Clone, Copy)]
pub(crate) struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    /// Refuses what is no object, lacks a `required` member, or has one that is neither required nor `optional`.
    pub(crate) fn of(value: &'a Value, required: &[&str], optional: &[&str]) -> Result<Self> {
        let map = value.as_object().ok_or_else(|| Refused::new(Code::NotAnObject))?;
        for name in required {
            ensure(map.contains_key(*name), Code::MemberMissing).at(name)?;
        }
        let known = |name: &String| required.contains(&name.as_str()) || optional.contains(&name.as_str());
        ensure(map.keys().all(known), Code::MemberUnknown)?;
        Ok(Self(map))
    }

    /// The member, unless it is left out.
    pub(crate) fn optional(self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    /// The member; absent ones read as null, which no caller takes for a value.
    pub(crate) fn value(self, name: &str) -> &'a Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    pub(crate) fn text(self, name: &str) -> Result<&'a str> {
        self.value(name).as_str().ok_or_else(|| Refused::new(Code::MemberType).at(name))
    }

    /// A text that has to be one particular text, such as a format's name.
    pub(crate) fn exactly(self, name: &str, text: &str) -> Result<()> {
        ensure(self.value(name).as_str() == Some(text), Code::WrongFormat).at(name)
    }

    /// A text that reads as a `T`, such as a hash or a time.
    pub(crate) fn read<T: FromStr<Err = Refused>>(self, name: &str) -> Result<T> {
        self.text(name)?.parse::<T>().at(name)
    }

    /// An integer from 0 to 2^53 − 1.
    pub(crate) fn number(self, name: &str) -> Result<u64> {
        let number = integer(self.value(name)).and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| Refused::new(Code::MemberType).at(name))
    }

    pub(crate) fn list(self, name: &str) -> Result<&'a [Value]> {
        let list = self.value(name).as_array().ok_or_else(|| Refused::new(Code::MemberType).at(name))?;
        Ok(list)
    }

    /// A list of hashes in hex.
    pub(crate) fn hashes(self, name: &str) -> Result<Vec<Hash>> {
        let hash = |value: &Value| {
            value.as_str().ok_or_else(|| Refused::new(Code::MemberType)).and_then(str::parse::<Hash>)
        };
        self.list(name)?.iter().map(hash).collect::<Result<_>>().at(name)
    }
}

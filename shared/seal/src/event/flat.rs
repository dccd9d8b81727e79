//! Reading a header's bytes without a tree in between, which takes most of the time of reading it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::{Attribute, DATA_CONTENT_TYPE, Header, LISTED, SPEC_VERSION};

/// The header that the bytes hold; `None` for anything but a header, without saying what is wrong.
pub(super) fn read(text: &[u8]) -> Option<Header> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let mut attributes = reader.deserialize_map(Object).ok()?;
    reader.end().ok()?;
    let header = attributes.header()?;
    header.check().ok()?;
    Some(header)
}

/// A value that an attribute can have.
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Integer(u32),
}

/// What was read: the listed attributes in the order of [`LISTED`], and the others.
#[derive(Default)]
struct Attributes<'a> {
    listed: [Option<Scalar<'a>>; LISTED.len()],
    extra: BTreeMap<String, Attribute>,
}

impl<'a> Attributes<'a> {
    /// Puts an attribute into its place; `None` where it stands twice.
    fn put(&mut self, name: Cow<'a, str>, value: Scalar<'a>) -> Option<()> {
        if let Ok(place) = LISTED.binary_search(&name.as_ref()) {
            return self.listed.get_mut(place)?.replace(value).is_none().then_some(());
        }
        let value = match value {
            Scalar::Text(text) => Attribute::Text(text.into_owned()),
            Scalar::Integer(number) => Attribute::Integer(number),
        };
        self.extra.insert(name.into_owned(), value).is_none().then_some(())
    }

    fn header(&mut self) -> Option<Header> {
        let [
            actor,
            actorrole,
            afterseal,
            causationid,
            correlationid,
            datacontenttype,
            dataroot,
            dataschema,
            id,
            source,
            specversion,
            streamseq,
            subject,
            time,
            trial,
            trialseq,
            kind,
        ] = std::mem::take(&mut self.listed);
        let constants = text(specversion)? == SPEC_VERSION && text(datacontenttype)? == DATA_CONTENT_TYPE;
        constants.then_some(())?;
        Some(Header {
            id: text(id)?.into_owned(),
            source: text(source)?.into_owned(),
            kind: text(kind)?.into_owned(),
            subject: text(subject)?.into_owned(),
            time: parsed(time)?,
            trial: text(trial)?.into_owned(),
            trialseq: integer(trialseq.as_ref())?,
            streamseq: integer(streamseq.as_ref())?,
            actor: text(actor)?.into_owned(),
            actorrole: text(actorrole)?.into_owned(),
            dataschema: text(dataschema)?.into_owned(),
            dataroot: parsed(dataroot)?,
            afterseal: if afterseal.is_some() { Some(parsed(afterseal)?) } else { None },
            correlationid: if correlationid.is_some() {
                Some(text(correlationid)?.into_owned())
            } else {
                None
            },
            causationid: if causationid.is_some() { Some(text(causationid)?.into_owned()) } else { None },
            extra: std::mem::take(&mut self.extra),
        })
    }
}

fn text(value: Option<Scalar<'_>>) -> Option<Cow<'_, str>> {
    if let Some(Scalar::Text(text)) = value { Some(text) } else { None }
}

fn integer(value: Option<&Scalar<'_>>) -> Option<u32> {
    if let Some(Scalar::Integer(number)) = value { Some(*number) } else { None }
}

fn parsed<T: FromStr>(value: Option<Scalar<'_>>) -> Option<T> {
    text(value)?.parse().ok()
}

/// Reads an object of texts and integers.
struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Attributes<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut attributes = Attributes::default();
        while let Some(name) = members.next_key_seed(Member)? {
            let Scalar::Text(name) = name else { return Err(A::Error::custom("a name")) };
            let value = members.next_value_seed(Member)?;
            attributes.put(name, value).ok_or_else(|| A::Error::custom("a name that stands twice"))?;
        }
        Ok(attributes)
    }
}

/// Reads a name or a value, borrowed where nothing in it is escaped.
struct Member;

impl<'de> DeserializeSeed<'de> for Member {
    type Value = Scalar<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or an integer")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        u32::try_from(number).map(Scalar::Integer).map_err(E::custom)
    }
}

//! The event header: what an event is, without what it says (section 4 of the format).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::canonical::{self, MAX_DEPTH, MAX_INTEGER, integer, write_string};
use crate::encoding::decimal;
use crate::hash::{Hash, LEAF, Sha3, TreeHash};
use crate::lanes::Messages;
use crate::refused::{At, Code, Refused, Result, ensure};
use crate::time::Timestamp;

mod flat;

/// The largest integer that a header attribute may be: CloudEvents integers have 32 bits, and none is negative here.
pub const MAX_ATTRIBUTE: u32 = i32::MAX as u32;
/// The longest name of an extra attribute.
pub const MAX_ATTRIBUTE_NAME: usize = 20;
/// The trial id of the ledger's own administration.
pub const LEDGER_TRIAL: &str = "_ledger";

const EVENT_DOMAIN: &[u8] = b"trialseal/event/v1\n";
const SPEC_VERSION: &str = "1.0";
const DATA_CONTENT_TYPE: &str = "application/json";

/// The seal that `afterseal` names: the newest one that existed when the event was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AfterSeal {
    /// The seal's number.
    pub seal: u64,
    /// The SHA-256 leaf hash of its entry in the public log.
    pub leaf: Hash,
}

impl fmt::Display for AfterSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.seal, self.leaf)
    }
}

impl FromStr for AfterSeal {
    type Err = Refused;

    /// Reads `<number>.<hex leaf hash>`.
    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('.').and_then(|(seal, leaf)| {
            Some(Self { seal: decimal(seal).filter(|seal| *seal <= MAX_INTEGER)?, leaf: leaf.parse().ok()? })
        });
        parts.ok_or_else(|| Refused::new(Code::AfterSeal))
    }
}

/// The value of an attribute that the format does not list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// A text, not empty.
    Text(String),
    /// An integer from 0 to [`MAX_ATTRIBUTE`].
    Integer(u32),
}

impl From<&Attribute> for Value {
    fn from(attribute: &Attribute) -> Self {
        match attribute {
            Attribute::Text(text) => Self::from(text.as_str()),
            Attribute::Integer(number) => Self::from(*number),
        }
    }
}

/// The public half of an event, in the attributes of CloudEvents 1.0. `specversion` and `datacontenttype` are constant and
/// not kept.
///
/// Who fills one in by hand calls [`check`](Self::check) before hashing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// UUIDv7 in lower case.
    pub id: String,
    /// The ledger's origin.
    pub source: String,
    /// What happened, such as `consent.signed`; the attribute `type`.
    pub kind: String,
    /// The stream, such as `participant/0193a5…`.
    pub subject: String,
    /// When the ledger recorded it.
    pub time: Timestamp,
    /// The trial's id.
    pub trial: String,
    /// 0-based place in the trial, at most [`MAX_ATTRIBUTE`].
    pub trialseq: u32,
    /// 0-based place in the stream, at most [`MAX_ATTRIBUTE`].
    pub streamseq: u32,
    /// Opaque id of who did it.
    pub actor: String,
    /// The role in which it was done.
    pub actorrole: String,
    /// `urn:trialseal:<kind>:<schema version>`.
    pub dataschema: String,
    /// The commitment to the data.
    pub dataroot: Hash,
    /// The newest seal there was; none before the first.
    pub afterseal: Option<AfterSeal>,
    /// The request.
    pub correlationid: Option<String>,
    /// The event that led to this one.
    pub causationid: Option<String>,
    /// Further attributes by name, covered by the hash as the others are.
    pub extra: BTreeMap<String, Attribute>,
}

impl Header {
    /// Reads and checks the bytes of a header: what [`parse`](Self::parse) makes of the JSON that they are.
    pub fn read(text: &[u8]) -> Result<Self> {
        // What is no header is read again, to say why.
        flat::read(text).map_or_else(|| Self::parse(&canonical::parse(text, MAX_DEPTH)?), Ok)
    }

    /// Reads and checks a header.
    pub fn parse(value: &Value) -> Result<Self> {
        let map = value.as_object().ok_or_else(|| Refused::new(Code::NotAnObject))?;
        let mut attributes = Attributes { map, known: 0 };
        attributes.constant("specversion", SPEC_VERSION)?;
        attributes.constant("datacontenttype", DATA_CONTENT_TYPE)?;
        let mut header = Self {
            id: attributes.text("id")?,
            source: attributes.text("source")?,
            kind: attributes.text("type")?,
            subject: attributes.text("subject")?,
            time: attributes.read("time")?,
            trial: attributes.text("trial")?,
            trialseq: attributes.number("trialseq")?,
            streamseq: attributes.number("streamseq")?,
            actor: attributes.text("actor")?,
            actorrole: attributes.text("actorrole")?,
            dataschema: attributes.text("dataschema")?,
            dataroot: attributes.read("dataroot")?,
            afterseal: attributes.optional("afterseal")?.as_deref().map(str::parse).transpose()?,
            correlationid: attributes.optional("correlationid")?,
            causationid: attributes.optional("causationid")?,
            extra: BTreeMap::new(),
        };
        if attributes.known < map.len() {
            header.extra = extra_attributes(map)?;
        }
        header.check()?;
        Ok(header)
    }

    /// Checks what the types do not say: no text is empty, numbers are in range, ids, schema and names are well formed.
    pub fn check(&self) -> Result<()> {
        for (name, value) in self.attributes() {
            let fits = match value {
                Slot::Text(text) => !text.is_empty(),
                Slot::Number(number) => number <= MAX_ATTRIBUTE,
                Slot::Hash(_) | Slot::Time(_) | Slot::AfterSeal(_) => true,
            };
            ensure(fits, Code::AttributeValue).at(name)?;
        }
        for name in self.extra.keys() {
            check_extra_name(name)?;
        }
        ensure(is_uuid_v7(&self.id), Code::EventId)?;
        ensure(valid_trial_id(&self.trial), Code::TrialId)?;
        let version = self
            .dataschema
            .strip_prefix("urn:trialseal:")
            .and_then(|rest| rest.strip_prefix(self.kind.as_str())?.strip_prefix(':'));
        ensure(version.is_some_and(|version| !version.is_empty()), Code::DataSchema)?;
        let seal = self.afterseal.map_or(0, |after| after.seal);
        ensure(seal <= MAX_INTEGER, Code::AfterSeal)
    }

    /// The header as a JSON object.
    pub fn to_value(&self) -> Value {
        let value = |slot: Slot<'_>| match slot {
            Slot::Text(text) => Value::from(text),
            Slot::Number(number) => Value::from(number),
            Slot::Hash(hash) => Value::from(hash.to_string()),
            Slot::Time(time) => Value::from(time.to_string()),
            Slot::AfterSeal(after) => Value::from(after.to_string()),
        };
        self.attributes().map(|(name, slot)| (name.to_owned(), value(slot))).collect::<Map<_, _>>().into()
    }

    /// `JCS(header)`, the bytes that are hashed and stored.
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(768);
        let mut separator = b'{';
        for (name, slot) in self.attributes() {
            out.push(separator);
            separator = b',';
            write_string(&mut out, name);
            out.push(b':');
            match slot {
                Slot::Text(text) => write_string(&mut out, text),
                Slot::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
                Slot::Hash(hash) => write_plain(&mut out, &hash.hex()),
                Slot::Time(time) => write_plain(&mut out, &time.text()),
                Slot::AfterSeal(after) => write_string(&mut out, &after.to_string()),
            }
        }
        out.push(b'}');
        out
    }

    /// The schema version of the data, which [`dataschema`](Self::dataschema) ends in; `None` where that is no number.
    pub fn schema_version(&self) -> Option<u32> {
        schema_version(&self.dataschema)
    }

    /// The event's leaf in the trial's tree.
    pub fn leaf(&self) -> Hash {
        eventleaf(&self.canonical())
    }

    /// All attributes that are there, in the order of their names: the listed ones are sorted, the others are merged in.
    /// Names are ASCII, so the order of bytes is the order that RFC 8785 asks for.
    fn attributes(&self) -> impl Iterator<Item = (&str, Slot<'_>)> {
        let listed = [
            ("actor", Some(Slot::Text(&self.actor))),
            ("actorrole", Some(Slot::Text(&self.actorrole))),
            ("afterseal", self.afterseal.as_ref().map(Slot::AfterSeal)),
            ("causationid", self.causationid.as_deref().map(Slot::Text)),
            ("correlationid", self.correlationid.as_deref().map(Slot::Text)),
            ("datacontenttype", Some(Slot::Text(DATA_CONTENT_TYPE))),
            ("dataroot", Some(Slot::Hash(&self.dataroot))),
            ("dataschema", Some(Slot::Text(&self.dataschema))),
            ("id", Some(Slot::Text(&self.id))),
            ("source", Some(Slot::Text(&self.source))),
            ("specversion", Some(Slot::Text(SPEC_VERSION))),
            ("streamseq", Some(Slot::Number(self.streamseq))),
            ("subject", Some(Slot::Text(&self.subject))),
            ("time", Some(Slot::Time(self.time))),
            ("trial", Some(Slot::Text(&self.trial))),
            ("trialseq", Some(Slot::Number(self.trialseq))),
            ("type", Some(Slot::Text(&self.kind))),
        ];
        let mut listed = listed.into_iter().filter_map(|(name, slot)| Some((name, slot?))).peekable();
        let mut extra =
            self.extra.iter().map(|(name, attribute)| (name.as_str(), Slot::from(attribute))).peekable();
        std::iter::from_fn(move || {
            let extra_first = match (listed.peek(), extra.peek()) {
                (Some(ours), Some(other)) => other.0 < ours.0,
                (ours, _) => ours.is_none(),
            };
            if extra_first { extra.next() } else { listed.next() }
        })
    }
}

/// The schema version that a `dataschema` ends in (section 4 of the format).
pub fn schema_version(dataschema: &str) -> Option<u32> {
    dataschema.rsplit(':').next()?.parse().ok()
}

/// The leaf of an event whose header has these canonical bytes.
pub fn eventleaf(canonical: &[u8]) -> Hash {
    Sha3::leaf(&[EVENT_DOMAIN, canonical])
}

/// [`eventleaf`] of many, in their order.
pub fn eventleaves<'a>(canonical: impl IntoIterator<Item = &'a [u8]>) -> Vec<Hash> {
    let mut messages = Messages::default();
    for header in canonical {
        messages.push(&[LEAF, EVENT_DOMAIN, header]);
    }
    messages.sha3_256().into_iter().map(Hash::from_bytes).collect()
}

/// Whether a text is a trial's id: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, or `_ledger`.
pub fn valid_trial_id(id: &str) -> bool {
    let mut bytes = id.bytes();
    id == LEDGER_TRIAL
        || id.len() <= 64
            && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// An attribute on its way into JSON.
#[derive(Clone, Copy)]
enum Slot<'a> {
    Text(&'a str),
    Number(u32),
    Hash(&'a Hash),
    Time(Timestamp),
    AfterSeal(&'a AfterSeal),
}

impl<'a> From<&'a Attribute> for Slot<'a> {
    fn from(attribute: &'a Attribute) -> Self {
        match attribute {
            Attribute::Text(text) => Self::Text(text),
            Attribute::Integer(number) => Self::Number(*number),
        }
    }
}

/// A string of characters that need no escaping.
fn write_plain(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

/// Reads the listed attributes and counts how many there were.
struct Attributes<'a> {
    map: &'a Map<String, Value>,
    known: usize,
}

impl<'a> Attributes<'a> {
    fn required(&mut self, name: &str) -> Result<&'a Value> {
        self.known += 1;
        self.map.get(name).ok_or_else(|| Refused::new(Code::AttributeMissing).at(name))
    }

    fn constant(&mut self, name: &str, expected: &str) -> Result<()> {
        let found = self.required(name)?;
        ensure(found.as_str() == Some(expected), Code::AttributeValue).at(name)
    }

    fn text(&mut self, name: &str) -> Result<String> {
        text_of(self.required(name)?).at(name)
    }

    fn read<T: FromStr<Err = Refused>>(&mut self, name: &str) -> Result<T> {
        text_of(self.required(name)?).and_then(|text| text.parse()).at(name)
    }

    fn number(&mut self, name: &str) -> Result<u32> {
        number_of(self.required(name)?).at(name)
    }

    fn optional(&mut self, name: &str) -> Result<Option<String>> {
        let Some(value) = self.map.get(name) else { return Ok(None) };
        self.known += 1;
        text_of(value).map(Some).at(name)
    }
}

fn text_of(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| Refused::new(Code::AttributeValue))
}

fn number_of(value: &Value) -> Result<u32> {
    integer(value)
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| Refused::new(Code::AttributeValue))
}

const LISTED: [&str; 17] = [
    "actor",
    "actorrole",
    "afterseal",
    "causationid",
    "correlationid",
    "datacontenttype",
    "dataroot",
    "dataschema",
    "id",
    "source",
    "specversion",
    "streamseq",
    "subject",
    "time",
    "trial",
    "trialseq",
    "type",
];

fn extra_attributes(map: &Map<String, Value>) -> Result<BTreeMap<String, Attribute>> {
    let mut extra = BTreeMap::new();
    for (name, value) in map.iter().filter(|(name, _)| !LISTED.contains(&name.as_str())) {
        check_extra_name(name)?;
        let attribute = match value {
            Value::String(text) => Attribute::Text(text.clone()),
            number => Attribute::Integer(number_of(number).at(name)?),
        };
        extra.insert(name.clone(), attribute);
    }
    Ok(extra)
}

fn check_extra_name(name: &str) -> Result<()> {
    let spelled = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let length = (1..=MAX_ATTRIBUTE_NAME).contains(&name.len());
    ensure(spelled && length && name != "data" && !LISTED.contains(&name), Code::AttributeName)
}

/// `xxxxxxxx-xxxx-7xxx-[89ab]xxx-xxxxxxxxxxxx` in lower-case hex (RFC 9562).
fn is_uuid_v7(id: &str) -> bool {
    let shape = b"xxxxxxxx-xxxx-7xxx-vxxx-xxxxxxxxxxxx";
    id.len() == shape.len()
        && id.bytes().zip(shape).all(|(byte, shape)| match shape {
            b'x' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            b'v' => matches!(byte, b'8' | b'9' | b'a' | b'b'),
            _ => byte == *shape,
        })
}

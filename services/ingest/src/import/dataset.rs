//! Reading a Dataset-JSON 1.1 file as a stream: its metadata, and its rows one by one, in constant memory.
//!
//! JSON lets the members of the file stand in any order, and a row means nothing without its columns, so a file is
//! read twice: [`outline`] takes the metadata and counts the rows, [`for_each_row`] then hands the rows out.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Read};
use std::ops::ControlFlow;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use trialseal_record::values::DatasetMetadata;
use trialseal_seal::canonical;

/// Most bytes of metadata, which is every member but `rows`: room for thousands of columns, and all that a stranger
/// can make us hold.
const MAX_METADATA_BYTES: u64 = 4 << 20;

/// Most bytes of one row: all that a stranger can make us hold, and far below what one transaction takes.
const MAX_ROW_BYTES: u64 = 1 << 20;

/// The member that holds the rows.
const ROWS: &str = "rows";

/// Why a file cannot be read. Never repeats what stands in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// The file is not what it should be, on this line (from 1).
    #[error("line {line}: {message}")]
    File {
        /// The line.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// The file cannot be got at.
    #[error("the spooled file cannot be read: {0}")]
    Spool(io::Error),
}

/// What a file says of itself, and how many rows it has.
#[derive(Debug)]
pub(super) struct Outline {
    /// Everything but the rows.
    pub(super) metadata: DatasetMetadata,
    /// Number of rows that are there, whatever its `records` says.
    pub(super) rows: u64,
}

/// A row as it stands in the file.
#[derive(Debug)]
pub(super) struct RawRow {
    /// Place among the rows, from 0.
    pub(super) row: u64,
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    /// Its JSON text.
    pub(super) json: Box<RawValue>,
}

/// Reads the metadata, counts the rows, and sees that all of the file is JSON.
pub(super) fn outline(file: impl Read) -> Result<Outline, Unreadable> {
    let mut members = Map::new();
    let mut rows = 0;
    let mut keep = |name: String, value: &RawValue| {
        let value =
            canonical::parse(value.get(), canonical::MAX_DEPTH).map_err(|refused| refused.to_string())?;
        members.insert(name, value);
        Ok(())
    };
    let mut count = |_| {
        rows += 1;
        ControlFlow::Continue(())
    };
    read(file, &mut keep, &mut count)?;
    // What serde says here names members and types of the metadata, which is about no participant.
    let metadata = serde_json::from_value(Value::Object(members)).map_err(|error| Unreadable::File {
        line: 1,
        message: format!("the metadata cannot be taken: {error}"),
    })?;
    Ok(Outline { metadata, rows })
}

/// Hands out the rows in their order, until there are no more or `each` breaks off.
pub(super) fn for_each_row(
    file: impl Read,
    mut each: impl FnMut(RawRow) -> ControlFlow<()>,
) -> Result<(), Unreadable> {
    read(file, &mut |_, _| Ok(()), &mut each)
}

/// Takes a metadata member; an error says what is wrong with it.
type OnMember<'a> = &'a mut dyn FnMut(String, &RawValue) -> Result<(), String>;
/// Takes a row.
type OnRow<'a> = &'a mut dyn FnMut(RawRow) -> ControlFlow<()>;

fn read(file: impl Read, on_member: OnMember<'_>, on_row: OnRow<'_>) -> Result<(), Unreadable> {
    let state = State { room: Cell::new(MAX_METADATA_BYTES), ..State::default() };
    let metered = Metered { inner: io::BufReader::with_capacity(64 << 10, file), state: &state };
    let mut json = serde_json::Deserializer::from_reader(metered);
    let read = serde::Deserializer::deserialize_map(&mut json, File { state: &state, on_member, on_row });
    match read.and_then(|()| json.end()) {
        Err(error) if !state.stopped.get() => Err(state.unreadable(error)),
        _ => Ok(()),
    }
}

/// What the reader below the parser and the visitors above it tell each other.
#[derive(Default)]
struct State {
    /// Newlines read so far.
    newlines: Cell<u64>,
    /// Bytes that may be read before the reader refuses; the visitors set it.
    room: Cell<u64>,
    /// Whether `each` broke off.
    stopped: Cell<bool>,
    /// What is wrong with the file, where a visitor found it.
    wrong: RefCell<Option<String>>,
}

impl State {
    fn refuse<T, E: Error>(&self, wrong: impl Into<String>) -> Result<T, E> {
        self.wrong.replace(Some(wrong.into()));
        Err(E::custom("refused"))
    }

    fn unreadable(&self, error: serde_json::Error) -> Unreadable {
        let line = self.newlines.get() + 1;
        let message = match self.wrong.take() {
            Some(wrong) => wrong,
            None if error.is_io() && self.room.get() == 0 => {
                "this row, or the metadata, is larger than any may be".into()
            }
            None if error.is_io() => return Unreadable::Spool(error.into()),
            // What serde_json says of broken syntax never repeats the text.
            None if error.is_syntax() || error.is_eof() => format!("this is not JSON: {error}"),
            None => "this should be an object with an array `rows`".into(),
        };
        Unreadable::File { line, message }
    }
}

/// Counts lines and bytes. The parser asks for one byte at a time, so both are exact.
struct Metered<'a, R> {
    inner: R,
    state: &'a State,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.state.room.get().checked_sub(count as u64);
        self.state.room.set(left.unwrap_or(0));
        if left.is_none() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        for _ in buffer.iter().take(count).filter(|&&byte| byte == b'\n') {
            self.state.newlines.set(self.state.newlines.get() + 1);
        }
        Ok(count)
    }
}

/// The file as a whole.
struct File<'a> {
    state: &'a State,
    on_member: OnMember<'a>,
    on_row: OnRow<'a>,
}

impl<'de> Visitor<'de> for File<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Dataset-JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { state, on_member, on_row } = self;
        let mut seen = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            if seen.contains(&name) {
                return state.refuse("a member stands twice in the file");
            }
            seen.push(name.clone());
            if name == ROWS {
                let room = state.room.get();
                members.next_value_seed(Rows { state, on_row: &mut *on_row })?;
                state.room.set(room);
            } else {
                let value: Box<RawValue> = members.next_value()?;
                on_member(name, &value).or_else(|wrong| state.refuse(wrong))?;
            }
        }
        if !seen.iter().any(|name| name == ROWS) {
            return state.refuse("the member `rows` is missing");
        }
        Ok(())
    }
}

/// The array of rows.
struct Rows<'a> {
    state: &'a State,
    on_row: OnRow<'a>,
}

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        let Self { state, on_row } = self;
        for row in 0.. {
            state.room.set(MAX_ROW_BYTES);
            let Some((line, json)) = rows.next_element_seed(OneRow { state })? else { break };
            if on_row(RawRow { row, line, json }).is_break() {
                state.stopped.set(true);
                return state.refuse("");
            }
        }
        Ok(())
    }
}

/// One row, with the line on which it begins: its first byte has been read when this is asked.
struct OneRow<'a> {
    state: &'a State,
}

impl<'de> DeserializeSeed<'de> for OneRow<'_> {
    type Value = (u64, Box<RawValue>);

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let line = self.state.newlines.get() + 1;
        let json = serde::Deserialize::deserialize(deserializer)?;
        Ok((line, json))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = r#""datasetJSONCreationDateTime": "2026-06-01T00:00:00", "datasetJSONVersion": "1.1",
"itemGroupOID": "IG.TS", "name": "TS", "label": "TS", "records": 2,
"columns": [{"itemOID": "IT.TS.A", "name": "A", "label": "A", "dataType": "string"}]"#;

    fn rows_of(file: &str) -> Result<Vec<(u64, u64, String)>, Unreadable> {
        let mut rows = Vec::new();
        for_each_row(file.as_bytes(), |raw| {
            rows.push((raw.row, raw.line, raw.json.get().to_owned()));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    #[test]
    fn rows_come_with_their_places_and_lines_in_either_order() {
        let rows = "\"rows\": [[\"a\"], [\"b\"]\n,\n [\"c\"]]";
        for file in [format!("{{{HEAD}, {rows}}}"), format!("{{{rows}, {HEAD}}}")] {
            let outline = outline(file.as_bytes()).unwrap();
            assert_eq!((outline.rows, outline.metadata.records), (3, 2));
            let first = if file.starts_with("{\"rows") { 1 } else { 3 };
            let row = |place, line, text: &str| (place, line, text.to_owned());
            let expected =
                [row(0, first, r#"["a"]"#), row(1, first, r#"["b"]"#), row(2, first + 2, r#"["c"]"#)];
            assert_eq!(rows_of(&file).unwrap(), expected);
        }
    }

    #[test]
    fn reading_stops_where_it_is_told_to() {
        let mut seen = 0;
        let file = format!("{{{HEAD}, \"rows\": [[1], [2], broken");
        for_each_row(file.as_bytes(), |_| {
            seen += 1;
            if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        assert_eq!(seen, 2);
    }

    #[test]
    fn a_disk_that_fails_is_no_fault_of_the_file() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("disk"))
            }
        }
        assert!(matches!(outline(Broken), Err(Unreadable::Spool(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, at in 0_usize..400, cut in 0_usize..400) {
            let _ = outline(&*bytes);
            let mut file = format!("{{{HEAD}, \"rows\": [[\"a\"], [\"b\"]]}}").into_bytes();
            file.splice(at.min(file.len())..(at + cut % 8).min(file.len()), bytes);
            let _ = outline(&*file);
            let _ = for_each_row(&*file, |_| ControlFlow::Continue(()));
        }
    }
}

//! Tables in Dataset-JSON 1.1, read row by row.

use std::fmt;
use std::io::{self, BufRead};
use std::path::Path;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::spool::{Spool, Spooled};

/// A table whose cells can be compared with the record.
#[derive(Debug)]
pub(super) struct Table {
    /// Names of the columns.
    pub(super) columns: Vec<String>,
    /// How many rows the file says it has.
    pub(super) records: Option<u64>,
    /// The rows as they stand in the file.
    pub(super) rows: Spooled,
}

/// What reading a file below `data/` came to.
#[derive(Debug)]
pub(super) enum Read {
    Table(Table),
    /// Not Dataset-JSON: something this program has no reader for.
    OtherFormat,
    /// It calls itself JSON and cannot be read as such, or as Dataset-JSON.
    Malformed,
}

/// Reads one table. The reader is left wherever reading stopped.
///
/// # Errors
/// Those of the reader and of the temporary file.
pub(super) fn read(name: &str, reader: &mut impl BufRead) -> io::Result<Read> {
    if Path::new(name).extension().is_none_or(|kind| !kind.eq_ignore_ascii_case("json")) {
        return Ok(Read::OtherFormat);
    }
    let mut found = Found {
        version: false,
        columns: None,
        records: None,
        rows: Spool::new()?,
        has_rows: false,
        io: None,
    };
    let mut json = serde_json::Deserializer::from_reader(reader);
    let parsed = Members(&mut found).deserialize(&mut json).and_then(|()| json.end());
    if let Some(error) = found.io.take() {
        return Err(error);
    }
    match parsed {
        Err(error) if error.is_io() => Err(io::Error::from(error)),
        Err(_) => Ok(Read::Malformed),
        Ok(()) if !found.version => Ok(Read::OtherFormat),
        Ok(()) => {
            let (Some(columns), true) = (found.columns, found.has_rows) else { return Ok(Read::Malformed) };
            Ok(Read::Table(Table { columns, records: found.records, rows: found.rows.finish()? }))
        }
    }
}

struct Found {
    version: bool,
    columns: Option<Vec<String>>,
    records: Option<u64>,
    rows: Spool,
    has_rows: bool,
    io: Option<io::Error>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

struct Members<'a>(&'a mut Found);

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let found = self.0;
        while let Some(key) = members.next_key::<String>()? {
            let again = match key.as_str() {
                "datasetJSONVersion" => {
                    members.next_value::<IgnoredAny>()?;
                    std::mem::replace(&mut found.version, true)
                }
                "columns" => {
                    let columns: Vec<Column> = members.next_value()?;
                    found.columns.replace(columns.into_iter().map(|column| column.name).collect()).is_some()
                }
                "records" => found.records.replace(members.next_value()?).is_some(),
                "rows" => {
                    let again = std::mem::replace(&mut found.has_rows, true);
                    members.next_value_seed(Rows(found))?;
                    again
                }
                _ => {
                    members.next_value::<IgnoredAny>()?;
                    false
                }
            };
            if again {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(())
    }
}

struct Rows<'a>(&'a mut Found);

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element::<Box<RawValue>>()? {
            if let Err(error) = self.0.rows.push(row.get().as_bytes()) {
                self.0.io = Some(error);
                return Err(A::Error::custom("the temporary file cannot be written"));
            }
        }
        Ok(())
    }
}

/// A cell, or a sealed value, as text: two of them say the same where their texts are equal. Null is no text.
pub(super) type CellText = Option<String>;

/// The cells of a row; `None` where the row is no array of scalars.
pub(super) fn cells(row: &[u8]) -> Option<Vec<CellText>> {
    let cells: Vec<&RawValue> = serde_json::from_slice(row).ok()?;
    cells.into_iter().map(|cell| cell_text(cell.get())).collect()
}

/// A number keeps the digits it is written with.
fn cell_text(raw: &str) -> Option<CellText> {
    match raw.as_bytes().first()? {
        b'"' => serde_json::from_str(raw).ok().map(Some),
        b'[' | b'{' => None,
        b'n' => Some(None),
        _ => Some(Some(raw.to_owned())),
    }
}

/// A sealed scalar as text; `None` where the value is no scalar.
pub(super) fn sealed_text(value: &Value) -> Option<CellText> {
    match value {
        Value::Null => Some(None),
        Value::Bool(truth) => Some(Some(truth.to_string())),
        Value::Number(number) => Some(Some(number.to_string())),
        Value::String(text) => Some(Some(text.clone())),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Read {
        read("data/x.json", &mut text.as_bytes()).unwrap()
    }

    #[test]
    fn members_may_come_in_any_order_and_numbers_keep_their_digits() {
        let text = r#"{"rows":[["a",38.0,null],["b\n",1e3,true]],"records":2,"datasetJSONVersion":"1.1.0",
                       "columns":[{"name":"A"},{"name":"B","x":1},{"name":"C"}]}"#;
        let Read::Table(mut table) = table(text) else { panic!("no table") };
        assert_eq!(
            (table.columns.as_slice(), table.records),
            (&["A", "B", "C"].map(String::from)[..], Some(2))
        );
        let row = table.rows.get(0).unwrap().unwrap();
        assert_eq!(cells(&row).unwrap(), [Some("a".into()), Some("38.0".into()), None]);
        let row = table.rows.get(1).unwrap().unwrap();
        assert_eq!(cells(&row).unwrap(), [Some("b\n".into()), Some("1e3".into()), Some("true".into())]);
    }

    #[test]
    fn what_is_no_table_is_told_apart_from_what_is_a_broken_one() {
        assert!(matches!(read("data/x.csv", &mut &b"{"[..]).unwrap(), Read::OtherFormat));
        assert!(matches!(table(r#"{"resourceType":"Bundle"}"#), Read::OtherFormat));
        for broken in
            ["", "[]", r#"{"datasetJSONVersion":"1.1"}"#, r#"{"rows":[],"rows":[]}"#, r#"{"rows":[1"#]
        {
            assert!(matches!(table(broken), Read::Malformed), "{broken}");
        }
    }

    #[test]
    fn rows_of_other_things_than_scalars_have_no_cells() {
        for row in ["1", "{}", "[[]]", "[{}]"] {
            assert_eq!(cells(row.as_bytes()), None, "{row}");
        }
    }
}

//! Tables in Dataset-JSON 1.1, read row by row.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::path::Path;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::spool::{Spool, Spooled};

/// Longest row, and longest list of columns, bytes: what has to be held at once. An imported row has 1 MiB at the most.
const MAX_PART_BYTES: usize = 8 << 20;
/// Most columns of a table. The tables of clinical trials have some hundred.
const MAX_COLUMNS: usize = 10_000;
/// Bytes of the column names of all tables together, which are held to the end.
const MAX_COLUMN_BYTES: usize = 64 << 20;
/// Most rows of all tables together: each takes 8 bytes of memory.
pub(super) const MAX_ROWS: u64 = 16 << 20;
/// Deepest nesting of JSON: the reader of values that nobody asks for remembers every bracket.
const MAX_NESTING: usize = 1_000;

/// A table whose cells can be compared with the record.
#[derive(Debug)]
pub(super) struct Table {
    /// Names of the columns.
    pub(super) columns: Vec<String>,
    /// How many rows the file says it has.
    pub(super) records: Option<u64>,
    /// How many it has.
    pub(super) rows: u64,
    /// Which of the set-aside rows is its first.
    first: u64,
}

impl Table {
    /// A row as it stands in the file; `None` where there is none of this number.
    pub(super) fn row(&self, rows: &mut Spooled, row: u64) -> io::Result<Option<Vec<u8>>> {
        if row < self.rows { rows.get(self.first + row) } else { Ok(None) }
    }
}

/// What reading a file below `data/` came to.
#[derive(Debug)]
pub(super) enum Found {
    Table(Table),
    /// Not Dataset-JSON: something this program has no reader for.
    OtherFormat,
    /// It calls itself JSON and cannot be read as such, or as Dataset-JSON.
    Malformed,
}

/// Reads the tables of a dataset. The rows of all of them are set aside in one file: a dataset may have more tables than a
/// program may have files open.
pub(super) struct Tables {
    rows: Spool,
    /// Bytes that column names may still take.
    column_bytes: usize,
}

impl Tables {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { rows: Spool::new()?, column_bytes: MAX_COLUMN_BYTES })
    }

    /// Reads one table. The reader is left wherever reading stopped.
    ///
    /// # Errors
    /// Those of the reader and of the temporary file, and [`io::ErrorKind::FileTooLarge`] beyond the limits above.
    pub(super) fn read(&mut self, name: &str, reader: &mut impl BufRead) -> io::Result<Found> {
        if Path::new(name).extension().is_none_or(|kind| !kind.eq_ignore_ascii_case("json")) {
            return Ok(Found::OtherFormat);
        }
        let left = Cell::new(MAX_PART_BYTES);
        let first = self.rows.len();
        let mut found = Reading {
            version: false,
            columns: None,
            records: None,
            has_rows: false,
            rows: &mut self.rows,
            left: &left,
            error: None,
        };
        let guarded = Guarded { inner: reader, left: &left, nesting: 0, in_text: false, escaped: false };
        let mut json = serde_json::Deserializer::from_reader(guarded);
        let parsed = Members(&mut found).deserialize(&mut json).and_then(|()| json.end());
        let Reading { version, columns, records, has_rows, error, .. } = found;
        match (error, parsed) {
            (Some(error), _) => return Err(error),
            (None, Err(error)) if error.is_io() => return Err(io::Error::from(error)),
            (None, Err(_)) => return Ok(Found::Malformed),
            (None, Ok(())) if !version => return Ok(Found::OtherFormat),
            (None, Ok(())) => {}
        }
        let (Some(columns), true) = (columns, has_rows) else { return Ok(Found::Malformed) };
        let taken = columns.iter().map(|name| name.len() + size_of::<String>()).sum();
        self.column_bytes = self.column_bytes.checked_sub(taken).ok_or_else(too_large)?;
        Ok(Found::Table(Table { columns, records, rows: self.rows.len() - first, first }))
    }

    /// Ends the reading; gives back the rows of all tables.
    pub(super) fn finish(self) -> io::Result<Spooled> {
        self.rows.finish()
    }
}

fn too_large() -> io::Error {
    io::ErrorKind::FileTooLarge.into()
}

/// JSON on its way to a parser that holds as much of it as it is given: bounds each part that is held, and the nesting.
struct Guarded<'a, R> {
    inner: R,
    /// Bytes that may still come before somebody sets this anew.
    left: &'a Cell<usize>,
    nesting: usize,
    in_text: bool,
    escaped: bool,
}

impl<R: BufRead> Read for Guarded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left.set(self.left.get().checked_sub(count).ok_or_else(too_large)?);
        for byte in &buffer[..count] {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                b'[' | b'{' if !self.in_text => self.nesting += 1,
                b']' | b'}' if !self.in_text => self.nesting = self.nesting.saturating_sub(1),
                _ => {}
            }
            if self.nesting > MAX_NESTING {
                return Err(too_large());
            }
        }
        Ok(count)
    }
}

/// What was found of a table so far.
struct Reading<'a> {
    version: bool,
    columns: Option<Vec<String>>,
    records: Option<u64>,
    has_rows: bool,
    rows: &'a mut Spool,
    /// See [`Guarded`].
    left: &'a Cell<usize>,
    /// Why reading stopped, where that is no fault of the table's.
    error: Option<io::Error>,
}

impl Reading<'_> {
    fn stop<E: serde::de::Error>(&mut self, error: io::Error) -> E {
        self.error = Some(error);
        E::custom("reading stopped")
    }
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

struct Members<'a, 'b>(&'a mut Reading<'b>);

impl<'de> DeserializeSeed<'de> for Members<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let found = self.0;
        loop {
            found.left.set(MAX_PART_BYTES);
            let Some(key) = members.next_key::<String>()? else { return Ok(()) };
            let again = match key.as_str() {
                "datasetJSONVersion" => {
                    members.next_value::<IgnoredAny>()?;
                    std::mem::replace(&mut found.version, true)
                }
                "columns" => {
                    let columns: Vec<Column> = members.next_value()?;
                    if columns.len() > MAX_COLUMNS {
                        return Err(found.stop(too_large()));
                    }
                    found.columns.replace(columns.into_iter().map(|column| column.name).collect()).is_some()
                }
                "records" => found.records.replace(members.next_value()?).is_some(),
                "rows" => {
                    let again = std::mem::replace(&mut found.has_rows, true);
                    members.next_value_seed(Rows(found))?;
                    again
                }
                _ => {
                    // Nothing of it is held.
                    found.left.set(usize::MAX);
                    members.next_value::<IgnoredAny>()?;
                    false
                }
            };
            if again {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
    }
}

struct Rows<'a, 'b>(&'a mut Reading<'b>);

impl<'de> DeserializeSeed<'de> for Rows<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        loop {
            self.0.left.set(MAX_PART_BYTES);
            let Some(row) = rows.next_element::<Box<RawValue>>()? else { return Ok(()) };
            if self.0.rows.len() == MAX_ROWS {
                return Err(self.0.stop(too_large()));
            }
            if let Err(error) = self.0.rows.push(row.get().as_bytes()) {
                return Err(self.0.stop(error));
            }
        }
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

    fn read(name: &str, text: &str) -> io::Result<Found> {
        Tables::new().unwrap().read(name, &mut text.as_bytes())
    }

    fn table(text: &str) -> Found {
        read("data/x.json", text).unwrap()
    }

    #[test]
    fn members_may_come_in_any_order_and_numbers_keep_their_digits() {
        let text = r#"{"rows":[["a",38.0,null],["b\n",1e3,true]],"records":2,"datasetJSONVersion":"1.1.0",
                       "columns":[{"name":"A"},{"name":"B","x":1},{"name":"C"}]}"#;
        let mut tables = Tables::new().unwrap();
        // What another table left behind does not shift the rows of this one.
        assert!(matches!(
            tables.read("data/w.json", &mut &br#"{"rows":[[1],[2]"#[..]).unwrap(),
            Found::Malformed
        ));
        let Found::Table(table) = tables.read("data/x.json", &mut text.as_bytes()).unwrap() else {
            panic!("no table")
        };
        let mut rows = tables.finish().unwrap();
        assert_eq!(
            (table.columns.as_slice(), table.records, table.rows),
            (&["A", "B", "C"].map(String::from)[..], Some(2), 2)
        );
        let row = table.row(&mut rows, 0).unwrap().unwrap();
        assert_eq!(cells(&row).unwrap(), [Some("a".into()), Some("38.0".into()), None]);
        let row = table.row(&mut rows, 1).unwrap().unwrap();
        assert_eq!(cells(&row).unwrap(), [Some("b\n".into()), Some("1e3".into()), Some("true".into())]);
        assert_eq!(table.row(&mut rows, 2).unwrap(), None);
    }

    #[test]
    fn what_is_no_table_is_told_apart_from_what_is_a_broken_one() {
        assert!(matches!(read("data/x.csv", "{").unwrap(), Found::OtherFormat));
        assert!(matches!(table(r#"{"resourceType":"Bundle"}"#), Found::OtherFormat));
        for broken in
            ["", "[]", r#"{"datasetJSONVersion":"1.1"}"#, r#"{"rows":[],"rows":[]}"#, r#"{"rows":[1"#]
        {
            assert!(matches!(table(broken), Found::Malformed), "{broken}");
        }
    }

    #[test]
    fn what_has_to_be_held_at_once_is_bounded() {
        let long = "x".repeat(MAX_PART_BYTES);
        let name = format!("{{\"{long}\":1}}");
        let row = format!(r#"{{"rows":[["{long}"]]}}"#);
        let columns = format!(r#"{{"columns":[{}{{"name":""}}]}}"#, r#"{"name":""},"#.repeat(MAX_COLUMNS));
        let column = format!(r#"{{"columns":[{{"name":"{long}"}}]}}"#);
        let version = format!(r#"{{"datasetJSONVersion":"{long}"}}"#);
        let deep = format!(r#"{{"x":{}"#, "[".repeat(MAX_NESTING));
        for (what, text) in [("name", &name), ("row", &row), ("columns", &columns), ("column", &column)] {
            let error = read("data/x.json", text).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{what}");
        }
        assert_eq!(read("data/x.json", &version).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read("data/x.json", &deep).unwrap_err().kind(), io::ErrorKind::FileTooLarge);

        let ignored = format!(r#"{{"resourceType":"Bundle","entry":["{long}","{long}\"[[{{"]}}"#);
        assert!(matches!(table(&ignored), Found::OtherFormat), "what is not held may be of any size");
        let almost = "x".repeat(MAX_PART_BYTES - 100);
        let rows = format!(
            r#"{{"datasetJSONVersion":"1.1","columns":[],"rows":[["{almost}"],["{almost}"],["{almost}"]]}}"#
        );
        assert!(matches!(table(&rows), Found::Table(Table { rows: 3, .. })));
    }

    #[test]
    fn column_names_of_all_tables_share_one_limit() {
        let wide = "x".repeat(MAX_PART_BYTES - 1_000);
        let text = format!(r#"{{"datasetJSONVersion":"1.1","rows":[],"columns":[{{"name":"{wide}"}}]}}"#);
        let mut tables = Tables::new().unwrap();
        for _ in 0..MAX_COLUMN_BYTES / MAX_PART_BYTES {
            assert!(matches!(tables.read("data/x.json", &mut text.as_bytes()).unwrap(), Found::Table(_)));
        }
        let error = tables.read("data/x.json", &mut text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn rows_of_other_things_than_scalars_have_no_cells() {
        for row in ["1", "{}", "[[]]", "[{}]"] {
            assert_eq!(cells(row.as_bytes()), None, "{row}");
        }
    }
}

//! One table in Dataset-JSON 1.1, and the lineage of each of its cells.

use std::io::Write as _;

use serde_json::{Map, Value, json};
use trialseal_seal::canonical;

use super::archive::Archive;
use crate::error::ExportError;
use crate::spool::{Part, Spool, Spooled};

/// A cell: its JSON text, and the field of the record that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) json: String,
    pub(super) source: Option<(u64, String)>,
}

impl Cell {
    /// A cell about which the record says nothing.
    pub(super) fn empty() -> Self {
        Self { json: "null".into(), source: None }
    }

    /// A scalar of an event's data, written as it is.
    pub(super) fn of(trialseq: u64, data: &Value, pointer: &str) -> Self {
        match data.pointer(pointer) {
            None | Some(Value::Array(_) | Value::Object(_)) => Self::empty(),
            Some(scalar) => Self { json: scalar.to_string(), source: Some((trialseq, pointer.to_owned())) },
        }
    }
}

/// A table that is being filled. Rows wait in the spool, since a ZIP takes one file after the other.
pub(super) struct Table {
    head: Map<String, Value>,
    columns: Vec<String>,
    rows: u64,
    filled: FinishedTable,
}

impl Table {
    /// An empty table in the file `name`. `head` holds the members of the file but `records` and `rows`.
    pub(super) fn new(
        spool: &mut Spool,
        name: String,
        head: Map<String, Value>,
        columns: Vec<String>,
    ) -> Self {
        let filled = FinishedTable { name, head: spool.part(), rows: spool.part(), lineage: spool.part() };
        Self { head, columns, rows: 0, filled }
    }

    /// Adds a row of one cell for each column.
    pub(super) fn row(&mut self, spool: &mut Spool, cells: Vec<Cell>) -> Result<(), ExportError> {
        let mut row = String::from("[");
        let mut from = Map::new();
        for (column, cell) in self.columns.iter().zip(cells) {
            if row.len() > 1 {
                row.push(',');
            }
            row.push_str(&cell.json);
            if let Some((trialseq, pointer)) = cell.source {
                from.insert(column.clone(), json!([[trialseq, pointer]]));
            }
        }
        row.push(']');
        spool.line(self.filled.rows, row.as_bytes())?;
        let lineage = json!({ "table": self.filled.name, "row": self.rows, "from": from });
        spool.line(self.filled.lineage, &canonical::to_vec(&lineage))?;
        self.rows += 1;
        Ok(())
    }

    /// Ends the table. What it says of itself goes into the spool too, for of many tables that is much.
    pub(super) fn finish(mut self, spool: &mut Spool) -> Result<FinishedTable, ExportError> {
        self.head.insert("records".into(), self.rows.into());
        spool.line(self.filled.head, &serde_json::to_vec(&self.head)?)?;
        Ok(self.filled)
    }
}

/// A table that has all its rows.
pub(super) struct FinishedTable {
    name: String,
    head: Part,
    rows: Part,
    lineage: Part,
}

impl FinishedTable {
    /// Writes the table's file.
    pub(super) fn write(&self, spooled: &Spooled, archive: &mut Archive) -> Result<(), ExportError> {
        archive.begin(&self.name)?;
        spooled.for_each(self.head, |head| archive.write_all(head.strip_suffix(b"}").unwrap_or(head)))?;
        archive.write_all(b",\"rows\":[")?;
        let mut before: &[u8] = b"\n";
        spooled.for_each(self.rows, |row| {
            archive.write_all(before)?;
            before = b",\n";
            archive.write_all(row)
        })?;
        Ok(archive.write_all(b"\n]}\n")?)
    }

    /// Writes the lines that say where the table's cells come from.
    pub(super) fn write_lineage(&self, spooled: &Spooled, archive: &mut Archive) -> Result<(), ExportError> {
        Ok(spooled.for_each(self.lineage, |line| {
            archive.write_all(line)?;
            archive.write_all(b"\n")
        })?)
    }
}

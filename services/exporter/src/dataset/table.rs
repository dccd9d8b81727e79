//! One table in Dataset-JSON 1.1, and the lineage of each of its cells.

use std::io::{BufRead, Write as _};
use std::path::Path;

use serde_json::{Map, Value, json};
use trialseal_seal::canonical;
use trialseal_vault::DataKey;
use uuid::Uuid;

use super::archive::Archive;
use crate::error::ExportError;
use crate::file::{Spool, Spooled};

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

/// A table that is being filled. Rows wait in an encrypted spool, since a ZIP takes one file after the other.
pub(super) struct Table {
    name: String,
    head: Map<String, Value>,
    columns: Vec<String>,
    rows: u64,
    spool: Spool,
}

/// Which export a table belongs to, and how its spool is encrypted.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) folder: &'a Path,
    pub(super) export: Uuid,
    pub(super) key: &'a DataKey,
}

impl Table {
    /// An empty table in the file `name`. `head` holds the members of the file but `records` and `rows`.
    pub(super) fn create(
        place: Place<'_>,
        number: usize,
        name: String,
        head: Map<String, Value>,
        columns: Vec<String>,
    ) -> Result<Self, ExportError> {
        let spool = Spool::create(place.folder, place.export, number, place.key)?;
        Ok(Self { name, head, columns, rows: 0, spool })
    }

    /// Adds a row of one cell for each column.
    pub(super) fn row(&mut self, cells: Vec<Cell>) -> Result<(), ExportError> {
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
        self.spool.line(row.as_bytes())?;
        let lineage = json!({ "table": self.name, "row": self.rows, "from": from });
        self.spool.line(&canonical::to_vec(&lineage))?;
        self.rows += 1;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<FinishedTable, ExportError> {
        self.head.insert("records".into(), self.rows.into());
        Ok(FinishedTable { name: self.name, head: self.head, lines: self.spool.finish()? })
    }
}

/// A table that has all its rows: lines of a row and its lineage in turn.
pub(super) struct FinishedTable {
    name: String,
    head: Map<String, Value>,
    lines: Spooled,
}

impl FinishedTable {
    /// Writes the table's file.
    pub(super) fn write(&self, archive: &mut Archive, key: &DataKey) -> Result<(), ExportError> {
        archive.begin(&self.name)?;
        let head = serde_json::to_string(&self.head)?;
        archive.write_all(head.strip_suffix('}').unwrap_or(&head).as_bytes())?;
        archive.write_all(b",\"rows\":[")?;
        for (place, row) in self.lines.read(key)?.split(b'\n').step_by(2).enumerate() {
            archive.write_all(if place > 0 { b",\n" } else { b"\n" })?;
            archive.write_all(&row?)?;
        }
        Ok(archive.write_all(b"\n]}\n")?)
    }

    /// Writes the lines that say where the table's cells come from.
    pub(super) fn write_lineage(&self, archive: &mut Archive, key: &DataKey) -> Result<(), ExportError> {
        for line in self.lines.read(key)?.split(b'\n').skip(1).step_by(2) {
            archive.write_all(&line?)?;
            archive.write_all(b"\n")?;
        }
        Ok(())
    }
}

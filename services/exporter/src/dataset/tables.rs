//! The tables of a dataset: every import as it came in, and the values recorded here as one table.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use trialseal_record::event::{Event, ImportStarted};
use trialseal_record::ids::{ImportId, StreamKind};
use trialseal_seal::dataset::{LINEAGE, TABLES};
use trialseal_seal::event::Header;
use trialseal_seal::time::Timestamp;
use trialseal_store::{EventRow, StoreError, body};

use super::Plan;
use super::archive::Archive;
use super::imported::Imported;
use super::items::Items;
use super::table::FinishedTable;
use crate::error::ExportError;
use crate::spool::{Spool, Spooled};

/// The tables while they are being filled. Of an ended import little is kept in memory.
pub(super) struct Tables {
    spool: Spool,
    open: HashMap<ImportId, (Place, Imported)>,
    ended: HashMap<ImportId, (Place, FinishedTable)>,
    items: Items,
    /// How many tables are called after each dataset.
    names: HashMap<String, usize>,
}

/// An import's place in the order in which they began.
type Place = usize;

impl Tables {
    pub(super) fn new(folder: &Path, plan: &Plan, sealed: Timestamp) -> Result<Self, ExportError> {
        let spool = Spool::create(folder, plan.export, Arc::clone(&plan.key))?;
        let items = Items::new(plan.trial.clone(), sealed);
        let names = HashMap::from([(Items::NAME.to_owned(), 1)]);
        Ok(Self { spool, open: HashMap::new(), ended: HashMap::new(), items, names })
    }

    /// Takes an event whose data is shown.
    pub(super) fn take(&mut self, row: &EventRow, header: &Header, data: &Value) -> Result<(), ExportError> {
        let own_import = (row.stream.kind() == StreamKind::Import).then(|| ImportId(row.stream.uuid()));
        match (header.kind.as_str(), own_import) {
            ("import.started", Some(import)) => match body::event(header, data.clone())? {
                Event::ImportStarted(started) => self.start_import(import, &started),
                _ => Ok(()),
            },
            ("import.completed", Some(import)) => self.end_import(import),
            ("data.imported", _) => self.imported(row, data),
            _ => self.items.take(&mut self.spool, row, header, data),
        }
    }

    fn start_import(&mut self, import: ImportId, started: &ImportStarted) -> Result<(), ExportError> {
        let name = format!("{TABLES}{}.json", self.free_name(started.dataset.name.as_str()));
        let table = Imported::new(&mut self.spool, name, &started.dataset)?;
        let place = self.open.len() + self.ended.len();
        self.open.insert(import, (place, table));
        Ok(())
    }

    fn imported(&mut self, row: &EventRow, data: &Value) -> Result<(), ExportError> {
        let import = data.get("import").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let Some(import) = import else { return Ok(()) };
        if let Some((_, table)) = self.open.get_mut(&import) {
            return table.row(&mut self.spool, row.trialseq, data);
        }
        // A rule of the record refuses that; a table that lacks a row would say nothing of it.
        if self.ended.contains_key(&import) {
            let what = "it is a row of an import that had ended".into();
            return Err(
                StoreError::DamagedEvent { trial: row.trial.clone(), trialseq: row.trialseq, what }.into()
            );
        }
        Ok(())
    }

    fn end_import(&mut self, import: ImportId) -> Result<(), ExportError> {
        if let Some((place, table)) = self.open.remove(&import) {
            self.ended.insert(import, (place, table.finish(&mut self.spool)?));
        }
        Ok(())
    }

    /// A file name from a dataset's name, which may hold anything: `lb`, for a second import of it `lb-2`. No base holds a
    /// hyphen, so that no two names are the same.
    fn free_name(&mut self, dataset: &str) -> String {
        let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let base: String = dataset.chars().take(64).map(allowed).collect();
        let number = self.names.entry(base.clone()).and_modify(|number| *number += 1).or_insert(1);
        if *number == 1 { base } else { format!("{base}-{number}") }
    }

    /// The tables in the order in which their imports began, the items last.
    pub(super) fn finish(mut self) -> Result<FinishedTables, ExportError> {
        let mut imports: Vec<_> = self.ended.into_values().collect();
        for (place, table) in self.open.into_values() {
            imports.push((place, table.finish(&mut self.spool)?));
        }
        imports.sort_unstable_by_key(|(place, _)| *place);
        let imports = imports.into_iter().map(|(_, table)| table);
        let tables = imports.chain(self.items.finish(&mut self.spool)?).collect();
        Ok(FinishedTables { tables, spooled: self.spool.finish()? })
    }
}

/// The tables that have all their rows.
pub(super) struct FinishedTables {
    tables: Vec<FinishedTable>,
    spooled: Spooled,
}

impl FinishedTables {
    /// Writes a file for each table, and the lineage of all.
    pub(super) fn write(&self, archive: &mut Archive) -> Result<(), ExportError> {
        for table in &self.tables {
            table.write(&self.spooled, archive)?;
        }
        if self.tables.is_empty() {
            return Ok(());
        }
        archive.begin(LINEAGE)?;
        self.tables.iter().try_for_each(|table| table.write_lineage(&self.spooled, archive))
    }
}

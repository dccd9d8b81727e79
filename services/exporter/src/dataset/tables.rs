//! The tables of a dataset: every import as it came in, and the values recorded here as one table.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde_json::Value;
use trialseal_record::event::{Event, ImportStarted};
use trialseal_record::ids::{ImportId, StreamKind};
use trialseal_seal::dataset::TABLES;
use trialseal_seal::event::Header;
use trialseal_seal::time::Timestamp;
use trialseal_store::EventRow;

use super::Plan;
use super::imported::Imported;
use super::items::Items;
use super::record::event_of;
use super::table::{FinishedTable, Place, Table};
use crate::error::ExportError;

/// Most tables of one dataset. Each has a file open while the record is read.
const MAX_TABLES: usize = 256;

/// The tables while they are being filled.
pub(super) struct Tables<'a> {
    place: Place<'a>,
    imports: Vec<Imported>,
    by_import: HashMap<ImportId, usize>,
    items: Items,
    names: HashSet<String>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(folder: &'a Path, plan: &'a Plan, sealed: Timestamp) -> Self {
        let place = Place { folder, export: plan.export, key: &plan.key };
        let items = Items::new(plan.trial.clone(), sealed);
        let names = HashSet::from([Items::NAME.to_owned()]);
        Self { place, imports: Vec::new(), by_import: HashMap::new(), items, names }
    }

    /// Takes an event whose data is shown.
    pub(super) fn take(&mut self, row: &EventRow, header: &Header, data: &Value) -> Result<(), ExportError> {
        match header.kind.as_str() {
            "import.started" if row.stream.kind() == StreamKind::Import => {
                if let Event::ImportStarted(started) = event_of(header, data.clone())? {
                    self.start_import(ImportId(row.stream.uuid()), &started)?;
                }
                Ok(())
            }
            "data.imported" => {
                let import = data.get("import").and_then(Value::as_str).and_then(|id| id.parse().ok());
                let table = import.and_then(|import| self.by_import.get(&import));
                match table.and_then(|place| self.imports.get_mut(*place)) {
                    Some(table) => table.row(row.trialseq, data),
                    None => Ok(()),
                }
            }
            _ => self.items.take(self.place, row, header, data),
        }
    }

    fn start_import(&mut self, import: ImportId, started: &ImportStarted) -> Result<(), ExportError> {
        // One place is kept for the items.
        if self.imports.len() + 1 >= MAX_TABLES {
            return Err(ExportError::TooManyTables(MAX_TABLES));
        }
        let name = self.free_name(started.dataset.name.as_str());
        let number = self.imports.len() + 1;
        let table = Imported::new(&started.dataset, |head, columns| {
            Table::create(self.place, number, format!("{TABLES}{name}.json"), head, columns)
        })?;
        self.by_import.insert(import, self.imports.len());
        self.imports.push(table);
        Ok(())
    }

    /// A file name from a dataset's name, which may hold anything: `lb`, for a second import of it `lb-2`.
    fn free_name(&mut self, dataset: &str) -> String {
        let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let base: String = dataset.chars().take(64).map(allowed).collect();
        let numbered = |number: usize| if number == 1 { base.clone() } else { format!("{base}-{number}") };
        let mut number = 1;
        while !self.names.insert(numbered(number)) {
            number += 1;
        }
        numbered(number)
    }

    /// The tables in the order in which their imports began, the items last.
    pub(super) fn finish(self) -> Result<Vec<FinishedTable>, ExportError> {
        let imports = self.imports.into_iter().map(Imported::finish);
        imports.chain(self.items.finish()).collect()
    }
}

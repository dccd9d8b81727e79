//! The values recorded here, one row for each statement about an item: as it was recorded, and as it was corrected.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use trialseal_record::ids::{StreamId, TrialId};
use trialseal_seal::dataset::TABLES;
use trialseal_seal::event::Header;
use trialseal_seal::time::Timestamp;
use trialseal_store::EventRow;

use super::table::{Cell, FinishedTable, Table};
use crate::error::ExportError;
use crate::spool::Spool;

/// Name, label, and type of each column.
const COLUMNS: [(&str, &str, &str); 11] = [
    ("SUBJID", "Subject Number", "string"),
    ("VISIT", "Visit", "string"),
    ("FORM", "Form OID", "string"),
    ("ITEMGRP", "Item Group OID", "string"),
    ("REPEAT", "Repetition of the Item Group", "integer"),
    ("COLLDTC", "Date of Collection", "string"),
    ("ITEM", "Item OID", "string"),
    ("VALUE", "Value", "string"),
    ("UNIT", "Unit", "string"),
    ("OLDVALUE", "Value before this Correction", "string"),
    ("REASON", "Reason for this Correction", "string"),
];

/// The table of items. It is made when the first item comes.
pub(super) struct Items {
    trial: TrialId,
    sealed: Timestamp,
    /// Where each participant's subject number stands in the record.
    subjects: HashMap<StreamId, Cell>,
    table: Option<Table>,
}

impl Items {
    /// The table's file, without folder and ending.
    pub(super) const NAME: &'static str = "items";

    pub(super) fn new(trial: TrialId, sealed: Timestamp) -> Self {
        Self { trial, sealed, subjects: HashMap::new(), table: None }
    }

    /// Takes an event whose data is shown.
    pub(super) fn take(
        &mut self,
        spool: &mut Spool,
        row: &EventRow,
        header: &Header,
        data: &Value,
    ) -> Result<(), ExportError> {
        let rows = match header.kind.as_str() {
            "participant.screened" => {
                self.subjects.insert(row.stream, Cell::of(row.trialseq, data, "/subjectNumber"));
                return Ok(());
            }
            "data.recorded" => recorded(row.trialseq, data),
            "data.corrected" => vec![corrected(row.trialseq, data)],
            _ => return Ok(()),
        };
        let subject = self.subjects.get(&row.stream).cloned().unwrap_or_else(Cell::empty);
        for cells in rows {
            let cells = std::iter::once(subject.clone()).chain(cells).collect();
            self.table(spool).row(spool, cells)?;
        }
        Ok(())
    }

    fn table(&mut self, spool: &mut Spool) -> &mut Table {
        self.table.get_or_insert_with(|| {
            let name = format!("{TABLES}{}.json", Self::NAME);
            let columns = COLUMNS.map(|(name, _, _)| name.to_owned()).into();
            Table::new(spool, name, head(&self.trial, self.sealed), columns)
        })
    }

    pub(super) fn finish(self, spool: &mut Spool) -> Result<Option<FinishedTable>, ExportError> {
        self.table.map(|table| table.finish(spool)).transpose()
    }
}

/// What the file says of itself (Dataset-JSON 1.1). Its time is the seal's, so that the same seal gives the same bytes.
fn head(trial: &TrialId, sealed: Timestamp) -> Map<String, Value> {
    let column = |(name, label, kind)| json!({ "itemOID": format!("IT.ITEMS.{name}"), "name": name, "label": label, "dataType": kind });
    let members = [
        ("datasetJSONCreationDateTime", json!(sealed)),
        ("datasetJSONVersion", json!("1.1.0")),
        ("studyOID", json!(trial)),
        ("itemGroupOID", json!("IG.ITEMS")),
        ("name", json!("ITEMS")),
        ("label", json!("Recorded and corrected items")),
        ("columns", COLUMNS.map(column).into_iter().collect()),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The cells behind the subject's, for each item that a `data.recorded` event holds.
fn recorded(trialseq: u64, data: &Value) -> Vec<Vec<Cell>> {
    let items = data.pointer("/record/items").and_then(Value::as_array).map_or(0, Vec::len);
    let cell = |pointer: &str| Cell::of(trialseq, data, pointer);
    let row = |item: usize| {
        let of_record = ["visit", "form", "itemGroup", "repeat", "collectedOn"];
        let of_item = ["itemOid", "value", "unit"];
        let shared = of_record.iter().map(|name| cell(&format!("/record/{name}")));
        let own = of_item.iter().map(|name| cell(&format!("/record/items/{item}/{name}")));
        shared.chain(own).chain([Cell::empty(), Cell::empty()]).collect()
    };
    (0..items).map(row).collect()
}

/// The cells behind the subject's for a `data.corrected` event.
fn corrected(trialseq: u64, data: &Value) -> Vec<Cell> {
    let names =
        ["visit", "form", "itemGroup", "repeat", "collectedOn", "itemOid", "new", "newUnit", "old", "reason"];
    names.iter().map(|name| Cell::of(trialseq, data, &format!("/{name}"))).collect()
}

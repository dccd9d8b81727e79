//! An imported dataset, given back as it came: its own metadata and columns, its numbers digit by digit.

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use trialseal_record::values::{DataType, DatasetMetadata};

use super::table::{Cell, FinishedTable, Table};
use crate::error::ExportError;
use crate::spool::Spool;

/// The table of one import.
pub(super) struct Imported {
    columns: Vec<Column>,
    table: Table,
}

struct Column {
    pointer: String,
    is_number: bool,
}

impl Imported {
    /// The table, in the file `name`, of a file that said this of itself.
    pub(super) fn new(
        spool: &mut Spool,
        name: String,
        dataset: &DatasetMetadata,
    ) -> Result<Self, ExportError> {
        let names = dataset.columns.iter().map(|column| column.name.clone()).collect();
        let columns = dataset.columns.iter().map(|column| Column {
            pointer: format!("/record/{}", column.name.replace('~', "~0").replace('/', "~1")),
            is_number: matches!(column.data_type, DataType::Integer | DataType::Float | DataType::Double),
        });
        let columns = columns.collect();
        let head = match serde_json::to_value(dataset)? {
            Value::Object(head) => head,
            _ => Map::new(),
        };
        Ok(Self { columns, table: Table::new(spool, name, head, names) })
    }

    /// Adds the row that an event holds.
    pub(super) fn row(&mut self, spool: &mut Spool, trialseq: u64, data: &Value) -> Result<(), ExportError> {
        let cells = self.columns.iter().map(|column| {
            let mut cell = Cell::of(trialseq, data, &column.pointer);
            // Numbers that are no plain integers were sealed as the text they had in the file.
            if let (true, Some(Value::String(text))) = (column.is_number, data.pointer(&column.pointer))
                && is_number(text)
            {
                cell.json.clone_from(text);
            }
            cell
        });
        let cells = cells.collect();
        self.table.row(spool, cells)
    }

    pub(super) fn finish(self, spool: &mut Spool) -> Result<FinishedTable, ExportError> {
        self.table.finish(spool)
    }
}

/// Whether a text is exactly one JSON number, of whatever size and precision.
fn is_number(text: &str) -> bool {
    let ends = text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit());
    ends && serde_json::from_str::<&RawValue>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_texts_that_look_like_them() {
        for number in ["0", "-1", "38.0", "1e5", "1E-300000", "9007199254740993", "0.10"] {
            assert!(is_number(number), "{number}");
        }
        for text in ["", "-", "01", "1.", ".5", "+1", " 1", "1 ", "1,2", "NaN", "\"1\"", "1]", "0x10"] {
            assert!(!is_number(text), "{text}");
        }
    }
}

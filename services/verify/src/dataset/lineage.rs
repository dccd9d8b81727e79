//! Whether the tables of a dataset say what its record says (section 9, `lineage.ndjson`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use serde_json::Value;
use trialseal_seal::dataset::{Dataset, LINEAGE, LineageChecker};

use super::table::{CellText, Table, cells, sealed_text};
use crate::outcome::Report;
use crate::spool::Spooled;

/// Parsed record lines that are kept: the rows of a table mostly lead to few events at a time.
const KEPT_EVENTS: usize = 256;

/// The shown fields of the record's events, looked up by place.
struct Record {
    lines: Spooled,
    kept: HashMap<u64, Value>,
}

impl Record {
    /// The text of a shown scalar; `None` where there is none such.
    fn field(&mut self, trialseq: u64, pointer: &str) -> io::Result<Option<CellText>> {
        if !self.kept.contains_key(&trialseq) {
            if self.kept.len() >= KEPT_EVENTS {
                self.kept.clear();
            }
            let line = self.lines.get(trialseq)?.unwrap_or_default();
            self.kept.insert(trialseq, serde_json::from_slice(&line).unwrap_or_default());
        }
        let line = self.kept.get(&trialseq);
        let shown = line.and_then(|line| match line.get("data") {
            Some(data) => data.pointer(pointer),
            None => disclosed(line, pointer),
        });
        Ok(shown.and_then(sealed_text))
    }
}

/// The value of a field that a disclosure shows.
fn disclosed<'a>(line: &'a Value, pointer: &str) -> Option<&'a Value> {
    let fields = line.get("fields")?.as_array()?;
    let field = fields.iter().find(|field| field.get("pointer").and_then(Value::as_str) == Some(pointer))?;
    field.get("value")
}

/// Follows every cell of every table back to the record.
pub(super) struct Lineage<'a> {
    form: LineageChecker<'a>,
    record: Record,
    /// The tables that can be read, and those (`None`) that are of a format unknown here.
    tables: BTreeMap<String, Option<Table>>,
    seen: HashMap<String, HashSet<u64>>,
    lines: u64,
    traced: u64,
    untraced: u64,
}

impl<'a> Lineage<'a> {
    pub(super) fn new(dataset: &'a Dataset, lines: Spooled, tables: BTreeMap<String, Option<Table>>) -> Self {
        Self {
            form: dataset.lineage_checker(),
            record: Record { lines, kept: HashMap::new() },
            tables,
            seen: HashMap::new(),
            lines: 0,
            traced: 0,
            untraced: 0,
        }
    }

    /// Checks one line of `lineage.ndjson`.
    ///
    /// # Errors
    /// Those of the temporary files.
    pub(super) fn line(&mut self, report: &mut Report, line: &[u8]) -> io::Result<()> {
        self.lines += 1;
        if let Some(finding) = self.form.line(line) {
            report.refused(format!("{LINEAGE} line {}", self.lines), &finding.refused);
            return Ok(());
        }
        let line: Value = serde_json::from_slice(line).unwrap_or_default();
        let (Some(table), Some(row), Some(from)) =
            (line["table"].as_str(), line["row"].as_u64(), line["from"].as_object())
        else {
            return Ok(());
        };
        let place = format!("{table} row {row}");
        if !self.seen.entry(table.to_owned()).or_default().insert(row) {
            report.broken(&place, "lineage-row-twice", "the lineage lists this row twice");
        }
        let cells = match self.tables.get_mut(table) {
            None | Some(None) => None,
            Some(Some(table)) => match table.rows.get(row)?.as_deref().map(cells) {
                None => {
                    report.broken(
                        &place,
                        "lineage-row-unknown",
                        "the lineage lists a row that the table does not have",
                    );
                    return Ok(());
                }
                Some(cells) => cells.map(|cells| named(&table.columns, cells)),
            },
        };
        for (column, sources) in from {
            self.cell(report, &format!("{place} column {column}"), column, sources, cells.as_ref())?;
        }
        let untraced =
            |(column, cell): &(&String, &CellText)| cell.is_some() && !has_source(from.get(*column));
        self.untraced += cells.iter().flatten().filter(untraced).count() as u64;
        Ok(())
    }

    /// Checks where one cell comes from: each source is a shown field, and where the table can be read, the last one
    /// says the same as the cell.
    fn cell(
        &mut self,
        report: &mut Report,
        place: &str,
        column: &str,
        sources: &Value,
        cells: Option<&HashMap<String, CellText>>,
    ) -> io::Result<()> {
        let mut sealed = None;
        for source in sources.as_array().into_iter().flatten() {
            let (trialseq, pointer) =
                (source[0].as_u64().unwrap_or(u64::MAX), source[1].as_str().unwrap_or_default());
            sealed = self.record.field(trialseq, pointer)?;
            if sealed.is_none() {
                let message =
                    format!("its lineage names a value of event {trialseq} that the record does not show");
                report.broken(place, "lineage-field-hidden", message);
                return Ok(());
            }
        }
        let (Some(cells), Some(sealed)) = (cells, sealed) else { return Ok(()) };
        match cells.get(column) {
            None => report.broken(place, "lineage-column-unknown", "the table has no such column"),
            Some(cell) if *cell == sealed => self.traced += 1,
            Some(_) => report.broken(place, "cell-differs", "the cell is not the value that was sealed"),
        }
        Ok(())
    }

    /// Ends the lineage: every row of every table has to have had its line.
    pub(super) fn finish(self, report: &mut Report) -> io::Result<()> {
        let mut rows = 0;
        let mut unread = Vec::new();
        for (name, table) in self.tables {
            let Some(mut table) = table else {
                unread.push(name);
                continue;
            };
            rows += table.rows.len();
            check_shape(report, &name, &mut table)?;
            let seen = self.seen.get(&name);
            for row in (0..table.rows.len()).filter(|row| seen.is_none_or(|seen| !seen.contains(row))) {
                report.broken(
                    format!("{name} row {row}"),
                    "lineage-row-missing",
                    "the lineage does not list this row",
                );
            }
        }
        report.fact("tableRows", "Rows of tables", rows);
        report.fact("cellsTraced", "Cells equal to sealed values", self.traced);
        report.fact("cellsNotTraced", "Cells without a source", self.untraced);
        if !unread.is_empty() {
            report.fact("tablesNotRead", "Tables of formats not read here", unread.join(", "));
        }
        Ok(())
    }
}

fn has_source(sources: Option<&Value>) -> bool {
    sources.and_then(Value::as_array).is_some_and(|sources| !sources.is_empty())
}

fn named(columns: &[String], cells: Vec<CellText>) -> HashMap<String, CellText> {
    columns.iter().cloned().zip(cells).collect()
}

/// Checks that columns differ, rows have as many cells as there are columns, and there are as many rows as stated.
fn check_shape(report: &mut Report, name: &str, table: &mut Table) -> io::Result<()> {
    let names: HashSet<_> = table.columns.iter().collect();
    if names.len() != table.columns.len() {
        report.broken(name, "table-malformed", "two columns have one name");
    }
    if table.records.is_some_and(|records| records != table.rows.len()) {
        report.broken(name, "table-malformed", "the table has another number of rows than it says");
    }
    for row in 0..table.rows.len() {
        let cells = table.rows.get(row)?.as_deref().and_then(cells);
        if cells.is_none_or(|cells| cells.len() != table.columns.len()) {
            let message = "the row is no list of one scalar for each column";
            report.broken(format!("{name} row {row}"), "table-malformed", message);
        }
    }
    Ok(())
}

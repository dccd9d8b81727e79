//! Whether the tables of a dataset say what its record says (section 9, `lineage.ndjson`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use serde_json::Value;
use trialseal_seal::canonical::{MAX_DEPTH, parse};
use trialseal_seal::dataset::{LINEAGE, LineageChecker, Manifest};

use super::table::{CellText, MAX_ROWS, Table, cells, sealed_text};
use crate::outcome::Report;
use crate::spool::Spooled;

/// Memory that parsed record lines may take together, bytes, roughly: the rows of a table mostly lead to few events at a
/// time. A line that takes more is kept until the next one.
const KEPT_BYTES: usize = 64 << 20;

/// The shown fields of the record's events, looked up by place.
struct Record {
    lines: Spooled,
    kept: HashMap<u64, Value>,
    kept_bytes: usize,
}

/// What a line takes when parsed, from above: an object with one member has a table for eleven.
fn parsed_bytes(line: &[u8]) -> usize {
    let weight = |byte: &u8| match byte {
        b'{' => 700,
        b'[' | b',' => 80,
        _ => 1,
    };
    line.iter().map(weight).sum()
}

impl Record {
    /// The text of a shown scalar; `None` where there is none such.
    fn field(&mut self, trialseq: u64, pointer: &str) -> io::Result<Option<CellText>> {
        if !self.kept.contains_key(&trialseq) {
            let line = self.lines.get(trialseq)?.unwrap_or_default();
            let bytes = parsed_bytes(&line);
            if self.kept_bytes + bytes > KEPT_BYTES {
                (self.kept, self.kept_bytes) = (HashMap::new(), 0);
            }
            self.kept_bytes += bytes;
            self.kept.insert(trialseq, parse(&line, MAX_DEPTH).unwrap_or_default());
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
    /// The rows of all tables.
    rows: Spooled,
    seen: HashMap<String, HashSet<u64>>,
    lines: u64,
    /// Whether there is no line that was too large to read: it may list any rows.
    complete: bool,
    traced: u64,
    untraced: u64,
}

impl<'a> Lineage<'a> {
    /// A check against the record's `lines`, one an event, and the `rows` of the `tables`.
    pub(super) fn new(
        manifest: &'a Manifest,
        (events, lines): (u64, Spooled),
        (tables, rows): (BTreeMap<String, Option<Table>>, Spooled),
    ) -> Self {
        Self {
            form: LineageChecker::new(manifest, events),
            record: Record { lines, kept: HashMap::new(), kept_bytes: 0 },
            tables,
            rows,
            seen: HashMap::new(),
            lines: 0,
            complete: true,
            traced: 0,
            untraced: 0,
        }
    }

    /// Checks one line of `lineage.ndjson`.
    ///
    /// # Errors
    /// Those of the temporary files, and [`io::ErrorKind::FileTooLarge`] beyond [`MAX_ROWS`] lines.
    pub(super) fn line(&mut self, report: &mut Report, line: &[u8]) -> io::Result<()> {
        self.lines += 1;
        if self.lines > MAX_ROWS {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if let Some(finding) = self.form.line(line) {
            self.complete &= !finding.refused.code().is_own_limit();
            report.refused(format!("{LINEAGE} line {}", self.lines), &finding.refused);
            return Ok(());
        }
        let line = parse(line, MAX_DEPTH).unwrap_or_default();
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
            Some(Some(table)) => match table.row(&mut self.rows, row)?.as_deref().map(cells) {
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
    pub(super) fn finish(mut self, report: &mut Report) -> io::Result<()> {
        let mut rows = 0;
        let mut unread = Vec::new();
        for (name, table) in self.tables {
            let Some(table) = table else {
                unread.push(name);
                continue;
            };
            rows += table.rows;
            check_shape(report, &name, &table, &mut self.rows)?;
            let seen = self.seen.get(&name);
            let listed = if self.complete { table.rows } else { 0 };
            for row in (0..listed).filter(|row| seen.is_none_or(|seen| !seen.contains(row))) {
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
fn check_shape(report: &mut Report, name: &str, table: &Table, rows: &mut Spooled) -> io::Result<()> {
    let names: HashSet<_> = table.columns.iter().collect();
    if names.len() != table.columns.len() {
        report.broken(name, "table-malformed", "two columns have one name");
    }
    if table.records.is_some_and(|records| records != table.rows) {
        report.broken(name, "table-malformed", "the table has another number of rows than it says");
    }
    for row in 0..table.rows {
        let cells = table.row(rows, row)?.as_deref().and_then(cells);
        if cells.is_none_or(|cells| cells.len() != table.columns.len()) {
            let message = "the row is no list of one scalar for each column";
            report.broken(format!("{name} row {row}"), "table-malformed", message);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::Spool;

    #[test]
    fn kept_lines_are_bounded_by_what_they_take() {
        let small = br#"{"data":{"a":[1]}}"#;
        let objects = "{\"\":1},".repeat(KEPT_BYTES / 1_000);
        let large = format!(r#"{{"data":{{"a":[{objects}7]}}}}"#);
        assert!(large.len() < KEPT_BYTES / 100, "bytes of text say little of what it takes");
        let mut spool = Spool::new().unwrap();
        for _ in 0..3 {
            spool.push(small).unwrap();
            spool.push(large.as_bytes()).unwrap();
        }
        let mut record = Record { lines: spool.finish().unwrap(), kept: HashMap::new(), kept_bytes: 0 };
        let mut kept = Vec::new();
        for line in 0..6 {
            let pointer =
                if line % 2 == 0 { "/a/0".to_owned() } else { format!("/a/{}", KEPT_BYTES / 1_000) };
            let shown = record.field(line, &pointer).unwrap().unwrap();
            assert_eq!(shown.as_deref(), Some(if line % 2 == 0 { "1" } else { "7" }));
            kept.push(record.kept.len());
            assert!(record.kept_bytes <= KEPT_BYTES);
        }
        assert_eq!(kept, [1, 2, 3, 1, 2, 1]);
        assert_eq!(record.field(9, "/a/0").unwrap(), None);
    }
}

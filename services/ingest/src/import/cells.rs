//! The cells of a row: whether they fit their columns, and how they are kept.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::value::RawValue;
use trialseal_record::date::PartialDate;
use trialseal_record::text::Name;
use trialseal_record::values::{Column, DataType, ImportedRecord, ImportedValue};

/// The largest integer that is kept as one; others are kept as text (section 2 of the format specification).
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Most columns: each is a field of every row's commitment.
const MAX_COLUMNS: usize = 2_000;

/// Longest name of a column, bytes.
const MAX_COLUMN_NAME_BYTES: usize = 200;

/// The columns that tell whose row it is, the better one first (SDTM: unique in the submission, unique in the study).
const SUBJECT_COLUMNS: [&str; 2] = ["USUBJID", "SUBJID"];

/// The column with the number of the site.
const SITE_COLUMN: &str = "SITEID";

/// The column with the date of collection, after the two letters of the domain (SDTM's timing variables).
const COLLECTED: &str = "DTC";

/// The domains whose rows tell what the trial did to somebody, so that their start is what a consent comes before.
/// What befalls people by itself (AE, MH) may have begun long before.
const PROCEDURE_DOMAINS: [&str; 4] = ["EX", "EC", "PR", "SV"];

/// Their column with the start, after the two letters of the domain.
const STARTED: &str = "STDTC";

/// What each cell of a row has to be, and where the row says whose it is.
#[derive(Debug)]
pub(super) struct Columns {
    cells: Vec<(String, Kind)>,
    subject: Option<usize>,
    site: Option<usize>,
    collected_on: Option<usize>,
}

/// What JSON a column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
}

/// A row that can be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The values by column.
    pub(super) record: ImportedRecord,
    /// The subject number, in datasets that have one.
    pub(super) subject: Option<Name>,
    /// The site number, where the row has one.
    pub(super) site: Option<Name>,
    /// When what it tells of was collected or done, where it says so in a date that can be read.
    pub(super) collected_on: Option<PartialDate>,
}

/// Why a row cannot be taken; never repeats a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadRow {
    /// The rule that it breaks.
    pub(super) rule: &'static str,
    /// In what way.
    pub(super) message: String,
}

impl BadRow {
    /// The rules that a row of a file can break, whatever the record says.
    pub(super) const JSON: &'static str = "import.row-is-array";
    pub(super) const LENGTH: &'static str = "import.row-fits-columns";
    pub(super) const VALUE: &'static str = "import.value-fits-column";
    pub(super) const SUBJECT: &'static str = "import.row-names-subject";

    fn new(rule: &'static str, message: String) -> Self {
        Self { rule, message }
    }
}

impl Columns {
    /// The columns of a dataset of that name; an error says what is wrong with them.
    pub(super) fn new(dataset: &str, columns: &[Column]) -> Result<Self, String> {
        let mut names = HashSet::new();
        if columns.is_empty() || columns.len() > MAX_COLUMNS {
            return Err(format!(
                "the file has {} columns, where 1 to {MAX_COLUMNS} can be taken",
                columns.len()
            ));
        }
        for Column { name, .. } in columns {
            if name.is_empty() || name.len() > MAX_COLUMN_NAME_BYTES {
                return Err(format!("the name of a column has 1 to {MAX_COLUMN_NAME_BYTES} bytes"));
            }
            if !names.insert(name) {
                return Err("two columns have the same name".into());
            }
        }
        // Not every system writes the standard's names in its capitals; a subject must not be missed for that.
        let place = |wanted: &str| columns.iter().position(|column| column.name.eq_ignore_ascii_case(wanted));
        Ok(Self {
            subject: SUBJECT_COLUMNS.into_iter().find_map(place),
            site: place(SITE_COLUMN),
            collected_on: collected_on(dataset).find_map(|name| place(&name)),
            cells: columns.iter().map(|column| (column.name.clone(), Kind::of(column.data_type))).collect(),
        })
    }

    /// Bytes that the names of the columns add to every row.
    pub(super) fn names_bytes(&self) -> usize {
        self.cells.iter().map(|(name, _)| name.len() + 4).sum()
    }

    /// Reads a row.
    pub(super) fn row(&self, json: &RawValue) -> Result<Row, BadRow> {
        let cells: Vec<&RawValue> = serde_json::from_str(json.get())
            .map_err(|_| BadRow::new(BadRow::JSON, "the row is not an array".into()))?;
        if cells.len() != self.cells.len() {
            let message = format!("the row has {} values for {} columns", cells.len(), self.cells.len());
            return Err(BadRow::new(BadRow::LENGTH, message));
        }
        let mut record = ImportedRecord::new();
        for (cell, (name, kind)) in cells.iter().zip(&self.cells) {
            let value = kind.read(cell.get());
            let value = value
                .map_err(|wanted| BadRow::new(BadRow::VALUE, format!("column {name} takes {wanted}")))?;
            record.insert(name.clone(), value);
        }
        let subject = self.subject.map(|place| self.name(place, &record)).transpose()?.map(|subject| {
            subject.ok_or_else(|| BadRow::new(BadRow::SUBJECT, "the row does not say whose it is".into()))
        });
        let site = self.site.map(|place| self.name(place, &record)).transpose()?.flatten();
        let collected_on = self.date(&record);
        Ok(Row { subject: subject.transpose()?, site, collected_on, record })
    }

    fn date(&self, record: &ImportedRecord) -> Option<PartialDate> {
        let (column, _) = self.cells.get(self.collected_on?)?;
        match record.get(column) {
            Some(ImportedValue::Text(text)) => text.parse().ok(),
            _ => None,
        }
    }

    /// The name in a column; `None` where the cell has none.
    fn name(&self, place: usize, record: &ImportedRecord) -> Result<Option<Name>, BadRow> {
        let Some((column, _)) = self.cells.get(place) else { return Ok(None) };
        let text = match record.get(column) {
            Some(ImportedValue::Text(text)) if !text.is_empty() => text.clone(),
            Some(ImportedValue::Integer(number)) => number.to_string(),
            _ => return Ok(None),
        };
        let name = text.try_into();
        name.map(Some).map_err(|wrong| BadRow::new(BadRow::SUBJECT, format!("column {column}: {wrong}")))
    }
}

/// The columns that can tell when what a row of the dataset tells of was collected or done, the better one first.
fn collected_on(dataset: &str) -> impl Iterator<Item = String> {
    let domain = dataset.get(..2).unwrap_or_default().to_ascii_uppercase();
    let started = PROCEDURE_DOMAINS.contains(&domain.as_str()).then(|| format!("{domain}{STARTED}"));
    started.into_iter().chain([format!("{domain}{COLLECTED}")])
}

impl Kind {
    fn of(data_type: DataType) -> Self {
        match data_type {
            DataType::Integer => Self::Integer,
            DataType::Float | DataType::Double => Self::Number,
            DataType::Boolean => Self::Boolean,
            DataType::String
            | DataType::Decimal
            | DataType::DateTime
            | DataType::Date
            | DataType::Time
            | DataType::Uri => Self::Text,
        }
    }

    /// Reads a cell; an error says what the column takes.
    fn read(self, json: &str) -> Result<ImportedValue, &'static str> {
        match (self, json.as_bytes().first()) {
            (_, Some(b'n')) => Ok(ImportedValue::Null),
            (Self::Boolean, Some(b't' | b'f')) => Ok(ImportedValue::Boolean(json == "true")),
            (Self::Text, Some(b'"')) => match serde_json::from_str::<Cow<'_, str>>(json) {
                Ok(text) => Ok(ImportedValue::Text(text.into_owned())),
                Err(_) => Err("text of whole Unicode characters"),
            },
            (Self::Integer, Some(b'-' | b'0'..=b'9')) if json.contains(['.', 'e', 'E']) => {
                Err("whole numbers, written without fraction and exponent")
            }
            (Self::Integer | Self::Number, Some(b'-' | b'0'..=b'9')) => Ok(number(json)),
            (Self::Boolean, _) => Err("true, false or null"),
            (Self::Text, _) => Err("strings or null"),
            (Self::Integer | Self::Number, _) => Err("numbers or null"),
        }
    }
}

/// A number keeps its digits: what is no plain integer of the format is kept as the text it has in the file.
fn number(json: &str) -> ImportedValue {
    match json.parse::<i64>() {
        Ok(integer) if integer.unsigned_abs() <= MAX_INTEGER && json != "-0" => {
            ImportedValue::Integer(integer)
        }
        _ => ImportedValue::Text(json.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, data_type: DataType) -> Column {
        Column {
            item_oid: format!("IT.{name}"),
            name: name.into(),
            label: name.into(),
            data_type,
            target_data_type: None,
            length: None,
            display_format: None,
            key_sequence: None,
        }
    }

    fn read(columns: &[(&str, DataType)], row: &str) -> Result<Row, BadRow> {
        let columns: Vec<_> = columns.iter().map(|(name, data_type)| column(name, *data_type)).collect();
        let row = RawValue::from_string(row.to_owned()).unwrap();
        Columns::new("LB", &columns).unwrap().row(&row)
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (json, kept) in [("0", 0), ("-5", -5), ("9007199254740991", 9_007_199_254_740_991)] {
            assert_eq!(number(json), ImportedValue::Integer(kept), "{json}");
        }
        for json in [
            "-0",
            "38.0",
            "1E5",
            "9007199254740992",
            "-9223372036854775808",
            "123456789012345678901234567890",
        ] {
            assert_eq!(number(json), ImportedValue::Text(json.into()));
        }
    }

    #[test]
    fn the_better_subject_column_counts_wherever_it_stands() {
        let both = [("SUBJID", DataType::String), ("USUBJID", DataType::String)];
        assert_eq!(
            read(&both, r#"["1015", "01-701-1015"]"#).unwrap().subject.unwrap().as_str(),
            "01-701-1015"
        );
        let number = [("SUBJID", DataType::Integer)];
        assert_eq!(read(&number, "[1015]").unwrap().subject.unwrap().as_str(), "1015");
        assert_eq!(read(&both, r#"["1015", null]"#).unwrap_err().rule, BadRow::SUBJECT);
        assert_eq!(read(&[("TSVAL", DataType::String)], "[null]").unwrap().subject, None);
        let small = [("usubjid", DataType::String)];
        assert_eq!(read(&small, r#"["1015"]"#).unwrap().subject.unwrap().as_str(), "1015");
    }

    #[test]
    fn a_row_tells_when_by_the_columns_of_its_domain() {
        let names = |dataset: &str| collected_on(dataset).collect::<Vec<_>>();
        assert_eq!(names("LB"), ["LBDTC"]);
        assert_eq!(names("ex"), ["EXSTDTC", "EXDTC"]);
        assert_eq!(names("AE"), ["AEDTC"]);
        assert_eq!(names("LBCH"), ["LBDTC"]);
        assert_eq!(names("€"), ["DTC"]);
        let columns = [("LBDTC", DataType::String)];
        let day = |row: &str| read(&columns, row).unwrap().collected_on.map(|day| day.to_string());
        assert_eq!(day(r#"["2014-01-02T08:30"]"#).as_deref(), Some("2014-01-02T08:30"));
        assert_eq!(day(r#"["2014"]"#).as_deref(), Some("2014"));
        for unknown in [r#"[""]"#, "[null]", r#"["yesterday"]"#] {
            assert_eq!(day(unknown), None);
        }
    }

    #[test]
    fn a_cell_takes_what_its_column_says() {
        let cases = [
            (DataType::String, r#""\u00e9\n""#, true),
            (DataType::String, r#""\ud800""#, false),
            (DataType::String, "1", false),
            (DataType::Decimal, r#""1.50""#, true),
            (DataType::Decimal, "1.50", false),
            (DataType::Integer, "1.0", false),
            (DataType::Double, "1e400", true),
            (DataType::Boolean, "true", true),
            (DataType::Boolean, r#""Y""#, false),
            (DataType::Uri, "[]", false),
            (DataType::Float, "{}", false),
        ];
        for (data_type, cell, good) in cases {
            let row = read(&[("X", data_type)], &format!("[{cell}]"));
            assert_eq!(row.is_ok(), good, "{data_type:?} {cell}");
            assert!(read(&[("X", data_type)], "[ null ]").is_ok());
        }
    }

    #[test]
    fn columns_are_named_once_and_within_bounds() {
        let text = |name: &str| column(name, DataType::String);
        assert!(Columns::new("LB", &[]).is_err());
        assert!(Columns::new("LB", &[text("A"), text("A")]).is_err());
        assert!(Columns::new("LB", &[text("")]).is_err());
        assert!(Columns::new("LB", &[text(&"A".repeat(201))]).is_err());
        let many: Vec<_> = (0..2_001).map(|n| text(&n.to_string())).collect();
        assert!(Columns::new("LB", &many).is_err() && Columns::new("LB", &many[1..]).is_ok());
    }
}

//! The lineage of a dataset's tables, line by line.

use serde_json::Value;

use super::{Finding, LINEAGE, Manifest, TABLES};
use crate::canonical::{MAX_DEPTH, integer, parse};
use crate::data::check_pointer;
use crate::members::Members;
use crate::refused::{At, Code, Refused, Result, ensure};

/// Checks the lines of `lineage.ndjson` by themselves: each names a table of the dataset, a row, and fields of events
/// that the record has. That the tables say what the record says is for whoever knows the tables' formats.
#[derive(Debug)]
pub struct LineageChecker<'a> {
    manifest: &'a Manifest,
    events: u64,
    lines: u64,
}

impl<'a> LineageChecker<'a> {
    /// A checker for the lineage of a dataset with so many events.
    pub fn new(manifest: &'a Manifest, events: u64) -> Self {
        Self { manifest, events, lines: 0 }
    }

    /// Takes the next line, without its newline.
    pub fn line(&mut self, line: &[u8]) -> Option<Finding> {
        self.lines += 1;
        let refused = self.check(line).err()?;
        Some(Finding { file: LINEAGE.into(), line: Some(self.lines), event: None, refused })
    }

    fn check(&self, line: &[u8]) -> Result<()> {
        ensure(!line.ends_with(b"\r"), Code::LineEnding)?;
        let value = parse(line, MAX_DEPTH)?;
        let members = Members::of(&value, &["table", "row", "from"], &[])?;
        let table = members.text("table")?;
        let listed = table.starts_with(TABLES) && self.manifest.files().contains_key(table);
        ensure(listed, Code::FileMissing).at("table")?;
        members.number("row")?;
        let columns =
            members.value("from").as_object().ok_or_else(|| Refused::new(Code::NotAnObject)).at("from")?;
        columns.values().try_for_each(|sources| self.check_sources(sources)).at("from")
    }

    fn check_sources(&self, sources: &Value) -> Result<()> {
        let sources = sources.as_array().ok_or_else(|| Refused::new(Code::MemberType))?;
        sources.iter().try_for_each(|source| {
            let pair = source.as_array().map(Vec::as_slice);
            let Some([trialseq, Value::String(pointer)]) = pair else {
                return Err(Refused::new(Code::MemberType));
            };
            let trialseq = integer(trialseq).and_then(|trialseq| u64::try_from(trialseq).ok());
            ensure(trialseq.is_some_and(|trialseq| trialseq < self.events), Code::IndexOutside)?;
            check_pointer(pointer)
        })
    }
}

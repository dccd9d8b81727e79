//! The record of a dataset, line by line.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Finding, RECORD};
use crate::canonical::{MAX_DEPTH, parse};
use crate::data::{Disclosure, Secret, dataroot};
use crate::event::Header;
use crate::hash::{Hash, Sha3};
use crate::members::Members;
use crate::proof::HeadProof;
use crate::refused::{At, Code, Refused, Result, ensure};
use crate::time::Timestamp;
use crate::tree::Frontier;

/// Gaps in streams that are kept until it is known whether they count.
const MAX_GAPS: usize = 100;
const WITHHELD: [&str; 3] = ["erased", "no-consent", "out-of-scope"];

/// Checks the lines of `record.ndjson` as they come. Each bad line gives one finding and checking goes on behind it.
#[derive(Debug)]
pub struct RecordChecker {
    head: HeadProof,
    tree: Frontier<Sha3>,
    lines: u64,
    ids: HashSet<u128>,
    newest: Option<Timestamp>,
    /// The last place seen of each stream.
    streams: HashMap<String, u32>,
    /// Gaps in streams; they count only where every line shows its header, which is known at the end.
    gaps: Vec<Finding>,
    all_headers_shown: bool,
}

/// What a line says.
enum Line {
    Leaf(Hash),
    /// The header, and whether what the line shows of the data is what the header commits to.
    Header(Box<Header>, Result<()>),
}

impl RecordChecker {
    /// A checker for the record that has to give this head, which the caller has verified.
    pub fn new(head: &HeadProof) -> Self {
        Self {
            head: head.clone(),
            tree: Frontier::new(),
            lines: 0,
            ids: HashSet::new(),
            newest: None,
            streams: HashMap::new(),
            gaps: Vec::new(),
            all_headers_shown: true,
        }
    }

    /// The number of lines seen.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Takes the next line, without its newline.
    pub fn line(&mut self, line: &[u8]) -> Option<Finding> {
        let place = self.lines;
        self.lines += 1;
        match read_line(line) {
            Ok(Line::Leaf(leaf)) => {
                self.forget_gaps();
                self.tree.push(leaf);
                None
            }
            Ok(Line::Header(header, content)) => {
                self.tree.push(header.leaf());
                let refused = self.check_header(place, &header).and(content).err()?;
                Some(finding(place, Some(header.id), refused))
            }
            Err(refused) => {
                self.forget_gaps();
                Some(finding(place, None, refused))
            }
        }
    }

    /// A line without a header may fill any gap.
    fn forget_gaps(&mut self) {
        self.all_headers_shown = false;
        self.gaps = Vec::new();
    }

    /// Takes note that the file ends without a newline behind its last line (which is given to
    /// [`line`](Self::line) all the same).
    pub fn unended(&self) -> Finding {
        finding(self.lines.saturating_sub(1), None, Refused::new(Code::LineEnding))
    }

    /// Ends the record: what is wrong with it as a whole. The root is compared where every line gave a leaf; a line that
    /// gave none has been reported.
    pub fn finish(self) -> Vec<Finding> {
        let mut findings = self.gaps;
        let head = &self.head.head;
        if self.lines != head.size {
            findings.push(Finding::file(RECORD, Code::RecordSize));
        } else if self.tree.size() == self.lines && self.tree.root() != head.root {
            findings.push(Finding::file(RECORD, Code::RecordRoot));
        }
        findings
    }

    /// Checks a header against its place, the head, and the headers before it.
    fn check_header(&mut self, place: u64, header: &Header) -> Result<()> {
        let earlier = self.newest;
        self.newest = earlier.max(Some(header.time));
        let new_id = self.ids.insert(id_bits(&header.id));
        let stream = self.check_stream(place, header);
        ensure(header.trial == self.head.head.trial, Code::HeadOfAnotherTrial)?;
        ensure(header.source == self.head.seal.ledger, Code::AnotherLedger)?;
        ensure(u64::from(header.trialseq) == place, Code::RecordPlace)?;
        ensure(new_id, Code::RecordIdTwice)?;
        ensure(Some(header.time) >= earlier, Code::RecordTime)?;
        ensure(header.time <= self.head.seal.time, Code::EventAfterSeal)?;
        stream
    }

    fn check_stream(&mut self, place: u64, header: &Header) -> Result<()> {
        let last = self.streams.get(&header.subject).copied();
        ensure(last.is_none_or(|last| header.streamseq > last), Code::StreamOrder)?;
        let next = last.map_or(0, |last| last + 1);
        if header.streamseq != next && self.all_headers_shown && self.gaps.len() < MAX_GAPS {
            self.gaps.push(finding(place, Some(header.id.clone()), Refused::new(Code::StreamOrder)));
        }
        match self.streams.get_mut(&header.subject) {
            Some(last) => *last = header.streamseq,
            None => drop(self.streams.insert(header.subject.clone(), header.streamseq)),
        }
        Ok(())
    }
}

fn finding(place: u64, event: Option<String>, refused: Refused) -> Finding {
    Finding { file: RECORD.into(), line: Some(place + 1), event, refused }
}

/// The 128 bits of a UUID whose form was checked.
fn id_bits(id: &str) -> u128 {
    let digits = id.chars().filter_map(|digit| digit.to_digit(16));
    digits.fold(0, |bits, digit| bits << 4 | u128::from(digit))
}

/// Reads one of the four kinds of line.
fn read_line(line: &[u8]) -> Result<Line> {
    ensure(!line.ends_with(b"\r"), Code::LineEnding)?;
    ensure(!line.starts_with(b"\xef\xbb\xbf"), Code::ByteOrderMark)?;
    let value = parse(line, MAX_DEPTH)?;
    match value.get("header") {
        Some(header) => {
            let header = Header::parse(header).at("header")?;
            let content = check_content(&value, &header);
            Ok(Line::Header(Box::new(header), content))
        }
        None => Members::of(&value, &["leaf"], &[])?.read("leaf").map(Line::Leaf),
    }
}

fn check_content(line: &Value, header: &Header) -> Result<()> {
    let has = |name| line.get(name).is_some();
    if has("withheld") {
        let reason = Members::of(line, &["header", "withheld"], &[])?.text("withheld")?;
        ensure(WITHHELD.contains(&reason), Code::Withheld).at("withheld")
    } else if has("fields") {
        let fields = Members::of(line, &["header", "fields"], &[])?.value("fields");
        Disclosure::parse(fields).and_then(|fields| fields.verify(&header.dataroot)).at("fields")
    } else {
        let members = Members::of(line, &["header", "secret", "data"], &[])?;
        let secret: Secret = members.read("secret")?;
        let root = dataroot(&secret, members.value("data")).at("data")?;
        ensure(root == header.dataroot, Code::DataRoot).at("data")
    }
}

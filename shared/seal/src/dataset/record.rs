//! The record of a dataset, line by line.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Finding, RECORD};
use crate::canonical::{MAX_DEPTH, parse};
use crate::data::{Disclosure, Secret, dataroot};
use crate::event::Header;
use crate::hash::{Hash, Sha3, sha256};
use crate::members::Members;
use crate::proof::HeadProof;
use crate::refused::{At, Code, Refusals, Refused, Result, ensure};
use crate::time::Timestamp;
use crate::tree::Frontier;

/// Gaps in streams that are kept until it is known whether they count; those beyond are counted.
const MAX_GAPS: usize = 1_000;
const WITHHELD: [&str; 3] = ["erased", "no-consent", "out-of-scope"];

/// Checks the lines of `record.ndjson` as they come. Each rule that a line breaks gives one finding, and checking goes on
/// behind it. Lines beyond the head's size are counted and not looked at: the count is what is wrong with them, and what
/// is kept stays bounded.
#[derive(Debug)]
pub struct RecordChecker {
    head: HeadProof,
    tree: Frontier<Sha3>,
    lines: u64,
    ids: HashSet<u128>,
    newest: Option<Timestamp>,
    /// The last place seen of each stream, by a hash of its name, which may be of any length.
    streams: HashMap<Hash, u32>,
    /// Gaps in streams; they count only where every line shows its header, which is known at the end.
    gaps: Vec<Finding>,
    /// Gaps beyond [`MAX_GAPS`].
    more_gaps: u64,
    all_headers_shown: bool,
    /// What the last line showed.
    shown: Option<(Box<Header>, Hash)>,
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
            more_gaps: 0,
            all_headers_shown: true,
            shown: None,
        }
    }

    /// The number of lines seen.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The header of the last line and the leaf that it gives, where the line showed one.
    pub fn shown(&self) -> Option<(&Header, Hash)> {
        self.shown.as_ref().map(|(header, leaf)| (header.as_ref(), *leaf))
    }

    /// Takes the next line, without its newline; gives the first finding.
    pub fn line(&mut self, line: &[u8]) -> Option<Finding> {
        self.line_findings(line).into_iter().next()
    }

    /// Takes the next line, without its newline; gives one finding for each rule that it breaks.
    pub fn line_findings(&mut self, line: &[u8]) -> Vec<Finding> {
        let place = self.lines;
        self.lines += 1;
        self.shown = None;
        if place >= self.head.head.size {
            return Vec::new();
        }
        match read_line(line) {
            Ok(Line::Leaf(leaf)) => {
                self.forget_gaps();
                self.tree.push(leaf);
                Vec::new()
            }
            Ok(Line::Header(header, content)) => {
                let leaf = header.leaf();
                self.tree.push(leaf);
                let mut refusals = Refusals::default();
                self.check_header(place, &header, &mut refusals);
                refusals.take(content);
                let refused = refusals.into_vec().into_iter();
                let findings =
                    refused.map(|refused| finding(place, Some(header.id.clone()), refused)).collect();
                self.shown = Some((header, leaf));
                findings
            }
            Err(refused) => {
                self.forget_gaps();
                vec![finding(place, None, refused)]
            }
        }
    }

    /// A line without a header may fill any gap.
    fn forget_gaps(&mut self) {
        self.all_headers_shown = false;
        (self.gaps, self.more_gaps) = (Vec::new(), 0);
    }

    /// How many gaps in streams [`finish`](Self::finish) does not list, because there are so many.
    pub fn gaps_not_listed(&self) -> u64 {
        self.more_gaps
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
    fn check_header(&mut self, place: u64, header: &Header, refusals: &mut Refusals) {
        let earlier = self.newest;
        self.newest = earlier.max(Some(header.time));
        refusals.check(header.trial == self.head.head.trial, Code::HeadOfAnotherTrial);
        refusals.check(header.source == self.head.seal.ledger, Code::AnotherLedger);
        refusals.check(u64::from(header.trialseq) == place, Code::RecordPlace);
        refusals.check(self.ids.insert(id_bits(&header.id)), Code::RecordIdTwice);
        refusals.check(Some(header.time) >= earlier, Code::RecordTime);
        refusals.check(header.time <= self.head.seal.time, Code::EventAfterSeal);
        refusals.take(self.check_stream(place, header));
    }

    fn check_stream(&mut self, place: u64, header: &Header) -> Result<()> {
        let stream = sha256(header.subject.as_bytes());
        let last = self.streams.get(&stream).copied();
        ensure(last.is_none_or(|last| header.streamseq > last), Code::StreamOrder)?;
        let next = last.map_or(0, |last| last + 1);
        if header.streamseq != next && self.all_headers_shown {
            if self.gaps.len() < MAX_GAPS {
                self.gaps.push(finding(place, Some(header.id.clone()), Refused::new(Code::StreamOrder)));
            } else {
                self.more_gaps += 1;
            }
        }
        self.streams.insert(stream, header.streamseq);
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

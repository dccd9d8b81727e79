//! A record as an operator writes it who can make everything up, seal, manifest and all, but has nobody's key.

use serde_json::{Value, json};
use trialseal_record::StreamId;
use trialseal_seal::data::{Secret, dataroot};
use trialseal_seal::event::Header;
use trialseal_seal::time::Timestamp;
use trialseal_verify::files::Folder;
use trialseal_verify::{Report, Verdict, dataset};

use super::{Ledger, ORIGIN, START_SECONDS, TRIAL, codes, write};

pub(crate) struct Record {
    pub(crate) lines: Vec<Value>,
    pub(crate) actor: String,
    /// What an event names as its cause: the submission last written.
    pub(crate) cause: Option<String>,
    /// Lines that are shown as a hash alone.
    pub(crate) leaf_only: Vec<usize>,
}

impl Record {
    pub(crate) fn new() -> Self {
        Self { lines: Vec::new(), actor: "site-1".into(), cause: None, leaf_only: Vec::new() }
    }

    pub(crate) fn event(&mut self, kind: &str, subject: &str, data: &Value) -> &mut Self {
        let place = self.lines.len();
        let secret = Secret::from_bytes([7; 32]);
        let streamseq = self.lines.iter().filter(|line| line["header"]["subject"] == subject).count();
        let mut header = json!({
            "specversion": "1.0", "datacontenttype": "application/json", "source": ORIGIN, "trial": TRIAL,
            "id": format!("019b76da-abe8-79c3-bf62-c66415e96{place:03x}"), "type": kind, "subject": subject,
            "time": Timestamp::from_micros((START_SECONDS + i64::try_from(place).unwrap()) * 1_000_000),
            "trialseq": place, "streamseq": streamseq, "actor": self.actor, "actorrole": "investigator",
            "dataschema": format!("urn:trialseal:{kind}:1"), "dataroot": dataroot(&secret, data).unwrap(),
        });
        if let Some(cause) = &self.cause {
            header["causationid"] = cause.as_str().into();
        }
        self.lines.push(json!({"header": header, "secret": "07".repeat(32), "data": data}));
        self
    }

    pub(crate) fn check(&self) -> Report {
        self.check_for(&[])
    }

    pub(crate) fn check_for(&self, keys: &[String]) -> Report {
        let mut ledger = Ledger::of(self.lines.clone(), 2, |_| ());
        for place in &self.leaf_only {
            let header = Header::parse(&self.lines[*place]["header"]).unwrap();
            ledger.record[*place] = json!({"leaf": header.leaf()});
        }
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &ledger.plain_dataset());
        let mut files = Folder::open(folder.path()).unwrap();
        dataset("dataset", &mut files, &ledger.policy(), &[ledger.export.export_key()], keys)
    }
}

pub(crate) fn trial() -> String {
    StreamId::trial(&TRIAL.parse().unwrap()).to_string()
}

pub(crate) fn of(participant: &str) -> String {
    format!("participant/{participant}")
}

pub(crate) fn fact(report: &Report, name: &str) -> Value {
    report.facts().iter().find(|fact| fact.name == name).unwrap().value.clone()
}

#[track_caller]
pub(crate) fn found(report: &Report, code: &str) {
    let codes = codes(report);
    assert_eq!(codes.iter().map(|(_, code)| *code).collect::<Vec<_>>(), [code], "{:?}", report.findings());
    assert_eq!(report.verdict(), Verdict::NotSound);
}

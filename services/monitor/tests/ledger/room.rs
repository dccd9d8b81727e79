//! A monitor with a folder, a clock that is set by hand, and what a pass has to come to.
#![allow(clippy::panic, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use trialseal_monitor::{
    Channel, Folder, Following, Http, Mail, MailServer, Monitor, Notices, Other, Report, StateError, Webhook,
};
use trialseal_runtime::client::Authorities;
use trialseal_runtime::clock::ManualClock;
use trialseal_seal::policy::Policy;
use trialseal_verify::Verdict;

use super::{Ledger, TRIAL, time};

/// A monitor with a folder.
pub(crate) struct Room {
    pub(crate) dir: TempDir,
    pub(crate) clock: ManualClock,
    pub(crate) others: Vec<Other>,
    pub(crate) reread: bool,
    policy: String,
    /// Where alarms are posted.
    pub(crate) webhook: Option<String>,
    /// Who gets mail, from a server of this machine at this port.
    pub(crate) mail: Vec<(u16, &'static str)>,
}

fn http() -> Http {
    Http::new(&Authorities::public())
}

pub(crate) fn webhook(url: &str) -> Webhook {
    Webhook::new(http(), url, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
}

impl Room {
    pub(crate) fn new() -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::new(0));
        Self {
            dir,
            clock,
            others: Vec::new(),
            reread: false,
            policy: Ledger::policy_text(),
            webhook: None,
            mail: Vec::new(),
        }
    }

    /// A room whose monitor has followed this ledger.
    pub(crate) fn at(ledger: &Ledger) -> Self {
        let room = Self::new();
        let report = room.first(ledger);
        assert_eq!((report.verdict, codes(&report)), (Verdict::Sound, vec![]), "{:?}", report.findings);
        room
    }

    pub(crate) fn first(&self, ledger: &Ledger) -> Report {
        self.pass(ledger, true).unwrap()
    }

    pub(crate) fn next(&self, ledger: &Ledger) -> Report {
        self.pass(ledger, false).unwrap()
    }

    /// A pass of a monitor that was just started, a little after the newest seal.
    pub(crate) fn pass(&self, ledger: &Ledger, first: bool) -> Result<Report, StateError> {
        let seconds = 10 * i64::try_from(ledger.seals.len()).unwrap() - 7;
        self.clock.set(time(seconds).micros());
        self.pass_now(ledger, first)
    }

    pub(crate) fn pass_now(&self, ledger: &Ledger, first: bool) -> Result<Report, StateError> {
        let mut following = Following::open(Folder::take(self.dir.path())?, first)?;
        self.monitor(ledger).pass(&mut following)
    }

    pub(crate) fn monitor<'a>(&'a self, ledger: &'a Ledger) -> Monitor<'a> {
        Monitor {
            ledger,
            address: "http://ledger".into(),
            policy: Policy::parse(&self.policy).unwrap(),
            policy_text: self.policy.clone().into_bytes(),
            trust: None,
            trials: vec![TRIAL.into()],
            reread: self.reread,
            max_age_seconds: 180,
            others: self.others.clone(),
            http: http(),
            notices: Notices(self.channels()),
            clock: &self.clock,
        }
    }

    fn channels(&self) -> Vec<Box<dyn Channel>> {
        let webhook = self.webhook.iter().map(|url| Box::new(webhook(url)) as Box<dyn Channel>);
        let mail = self.mail.iter().map(|(port, to)| {
            let server = format!("plain://127.0.0.1:{port}");
            let server = MailServer::new(&server, &Authorities::public(), None).unwrap();
            Box::new(Mail::new(server, "monitor@example.org", to).unwrap()) as Box<dyn Channel>
        });
        webhook.chain(mail).collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn place(&self) -> Vec<u8> {
        fs::read(self.path("place")).unwrap()
    }

    /// The next pass finds this and nothing else, keeps what shows it, and does not move.
    pub(crate) fn assert_finds(&self, ledger: &Ledger, code: &str, record: &str) -> Report {
        let before = self.place();
        let report = self.next(ledger);
        assert_eq!(report.verdict, Verdict::NotSound, "{:?}", report.findings);
        let found = report.findings.iter().find(|it| it.code == code && it.record == record);
        let found = found.unwrap_or_else(|| panic!("no {code} in {record}: {:#?}", report.findings));
        for name in &report.evidence {
            assert!(self.path("evidence").join(name).join("finding.json").exists());
        }
        let kept = report.evidence.iter().find(|name| name.contains(code)).unwrap();
        for evidence in &found.evidence {
            assert!(self.path("evidence").join(kept).join(&evidence.name).exists(), "{}", evidence.name);
        }
        assert!(!found.evidence.is_empty());
        if found.record.starts_with("seal") || found.record.starts_with("log") {
            assert!(self.place() == before, "the place moved past {code}");
        }
        report
    }
}

pub(crate) fn codes(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.code.as_str()).collect()
}

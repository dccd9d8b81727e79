//! One pass after the other: what is read, what it comes to, and when the place is saved.

use std::collections::BTreeMap;

use trialseal_runtime::clock::Clock;
use trialseal_seal::hash::sha256;
use trialseal_seal::policy::Policy;
use trialseal_seal::proof::MAX_SEAL_LEAD_SECONDS;
use trialseal_seal::time::Timestamp;
use trialseal_seal::trust::Trust;
use trialseal_verify::Verdict;

use crate::compare::Other;
use crate::evidence;
use crate::finding::{Finding, verdict};
use crate::log::{self, Log};
use crate::notice::Notices;
use crate::place::{Http, Place};
use crate::report::{LogFacts, Report, TrialFacts};
use crate::state::{Folder, State, StateError};
use crate::trial;
use crate::trust;

/// What a monitor follows, and how.
pub struct Monitor<'a> {
    /// The ledger.
    pub ledger: &'a dyn Place,
    /// Its address, for the report.
    pub address: String,
    /// Whom the reader trusts.
    pub policy: Policy,
    /// The policy's text, which goes with all evidence.
    pub policy_text: Vec<u8>,
    /// The text that the policy came from, to be held against what the ledger offers.
    pub trust: Option<Trust>,
    /// The trials to follow.
    pub trials: Vec<String>,
    /// Whether all events are read again in each pass, those before the saved place as well.
    pub reread: bool,
    /// How old the newest seal, and its quorum time, may be.
    pub max_age_seconds: u64,
    /// Who else was shown the log.
    pub others: Vec<Other>,
    /// Asks them.
    pub http: Http,
    /// Whom to tell of alarms.
    pub notices: Notices,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// The monitor's folder, and its place in it.
pub struct Following {
    folder: Folder,
    state: State,
    /// When the ledger was read last.
    read: Option<i64>,
}

impl Following {
    /// Takes up the place in a folder.
    ///
    /// # Errors
    /// Where it is lost or damaged and this is not the `first` start, or the other way round.
    pub fn open(folder: Folder, first: bool) -> Result<Self, StateError> {
        let state = folder.load(first)?;
        Ok(Self { folder, state, read: None })
    }
}

impl Monitor<'_> {
    /// One pass. Findings and reports are written first, the place last: a pass that is cut off is done again.
    ///
    /// # Errors
    /// Where the folder cannot be written. The place has then not moved.
    pub fn pass(&self, following: &mut Following) -> Result<Report, StateError> {
        let mut report = Report::new(&self.address, Timestamp::from_micros(self.clock.now()));
        let mut next = following.state.clone();
        self.read(following, &mut next, &mut report);
        let note = following.state.log.as_ref().map(|log| sha256(log.note.as_bytes()).to_string());
        for finding in report.findings.iter_mut().filter(|finding| finding.place.is_empty()) {
            finding.place = note.clone().unwrap_or_default().into();
        }
        self.keep_evidence(&following.folder, &mut report)?;
        report.write(&following.folder)?;
        following.folder.save(&next)?;
        following.state = next;
        Ok(report)
    }

    fn read(&self, following: &mut Following, next: &mut State, report: &mut Report) {
        let saved = following.state.log.as_ref();
        let mut log = match log::newest(self.ledger, &self.policy, saved) {
            Ok(log) => log,
            Err(finding) => {
                self.silence(following, &finding, report);
                report.findings.push(finding);
                return;
            }
        };
        following.read = Some(self.clock.now());
        let followed = log.follow(saved);
        report.log = Some(LogFacts::of(&log));
        report.findings.append(&mut log.findings);
        report.findings.extend(followed.err());
        self.others(&log, report);
        let trust = self.trust.as_ref().map(|trust| trust::compare(self.ledger, trust));
        report.findings.extend(trust.and_then(Result::err));
        if !report.findings.iter().any(Finding::is_alarm) {
            self.fresh(&log, report);
        }
        // What does not stand on a sound log is not worth reading, and the place stays where all was well.
        if report.findings.iter().any(|finding| finding.code != "silent" && !is_of_others(finding)) {
            return;
        }
        for id in &self.trials {
            self.trial(&log, id, next, report);
        }
        next.log = Some(log.place);
    }

    fn trial(&self, log: &Log<'_>, id: &str, next: &mut State, report: &mut Report) {
        let followed = trial::follow(self.ledger, log, id, next.trials.get(id), self.reread);
        let mut facts = TrialFacts { trial: id.to_owned(), events: 0, new_events: 0, seal: None };
        let before = report.findings.len();
        match followed {
            Ok(Some(followed)) => {
                facts.events = followed.place.tree.size();
                facts.new_events = followed.new_events;
                facts.seal = Some(followed.place.seal);
                if followed.findings.is_empty() {
                    next.trials.insert(id.to_owned(), followed.place);
                }
                report.findings.extend(followed.findings);
            }
            Ok(None) => {}
            Err(finding) => report.findings.push(finding),
        }
        let place = next.trials.get(id).map_or(0, |place| place.tree.size());
        for finding in &mut report.findings[before..] {
            finding.place = format!("{place} events").into();
        }
        report.trials.push(facts);
    }

    fn others(&self, log: &Log<'_>, report: &mut Report) {
        let mut seen = BTreeMap::new();
        for other in &self.others {
            match other.compare(&self.http, log) {
                Ok(size) => {
                    seen.insert(other.name(), size);
                }
                Err(finding) => report.findings.push(finding),
            }
        }
        report.others = seen;
    }

    /// A ledger that makes no seal for longer than its heartbeat has stopped, or is held back.
    fn fresh(&self, log: &Log<'_>, report: &mut Report) {
        let now = self.clock.now() / 1_000_000;
        let max_age = i64::try_from(self.max_age_seconds).unwrap_or(i64::MAX);
        let Some(last) = &log.place.last else { return };
        let silent = |message: String| {
            let finding = Finding::alarm("silent", format!("seal {}", last.seal), message);
            finding.with("checkpoint", log.place.note.as_str())
        };
        let age = now.saturating_sub(last.time.seconds());
        if age > max_age {
            let message = format!("the newest seal is of {}, and nothing came after it", last.time);
            report.findings.push(silent(message));
        } else if age < -MAX_SEAL_LEAD_SECONDS {
            let message = "it is dated in the future by the clock here; one of the two clocks is wrong";
            let finding = Finding::alarm("seal-in-future", format!("seal {}", last.seal), message);
            report.findings.push(finding.with("checkpoint", log.place.note.as_str()));
        }
        let witnessed = log.quorum_time.and_then(|seconds| i64::try_from(seconds).ok());
        if let Some(witnessed) = witnessed.filter(|witnessed| now.saturating_sub(*witnessed) > max_age)
            && age <= max_age
        {
            let time = Timestamp::from_micros(witnessed.saturating_mul(1_000_000));
            report.findings.push(silent(format!("witnesses have agreed to nothing since {time}")));
        }
    }

    /// A ledger that cannot be read for longer than it may be silent is one that is silent.
    fn silence(&self, following: &Following, finding: &Finding, report: &mut Report) {
        let max_age = i64::try_from(self.max_age_seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let Some(read) = following.read.filter(|_| finding.verdict == Verdict::CannotTell) else { return };
        if self.clock.now().saturating_sub(read) > max_age {
            let since = Timestamp::from_micros(read);
            let message = format!("it cannot be read since {since}");
            report.findings.push(Finding::alarm("silent", "the ledger", message));
        }
    }

    /// Keeps what shows the alarms, and tells of them.
    fn keep_evidence(&self, folder: &Folder, report: &mut Report) -> Result<(), StateError> {
        let io = |error| StateError::Io(folder.dir().join(evidence::EVIDENCE), error);
        let mut found = Vec::new();
        for finding in &report.findings {
            if !finding.is_alarm() {
                tracing::warn!(code = finding.code, record = finding.record, "{}", finding.message);
                continue;
            }
            tracing::error!(code = finding.code, record = finding.record, "{}", finding.message);
            let kept = evidence::keep(folder.dir(), finding, report.time, &self.policy_text).map_err(io)?;
            report.evidence.push(kept.name());
            found.push(kept);
        }
        report.waiting = self.notices.tell(&self.address, folder.dir(), &found, report.time).map_err(io)?;
        report.verdict = verdict(&report.findings);
        Ok(())
    }
}

/// Whether a finding only says that somebody else could not be asked: no reason not to go on.
fn is_of_others(finding: &Finding) -> bool {
    finding.verdict == Verdict::CannotTell && finding.code.starts_with("other-")
}

//! What clients sent and were told, held against what is recorded in the end.
//!
//! Every command that a client sends leaves marks in its events that no other command leaves. So it can be told of each
//! recorded event which command it came of, whatever was answered, or not, to whom and how often.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::Value;

/// Findings that are told, of perhaps thousands that one mistake leads to.
const TOLD: usize = 20;

/// An event as an answer tells of it and as the record shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// Its place in the trial.
    pub trialseq: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its stream.
    pub subject: String,
    /// When it was recorded.
    pub time: String,
    /// Its hash.
    pub eventleaf: String,
}

/// A 201.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The events that it names.
    pub events: Vec<Event>,
    /// Whether it says that the command had been carried out before.
    pub replayed: bool,
}

/// A command, however often it was sent.
#[derive(Debug, Clone)]
pub struct Command {
    /// Its `Idempotency-Key`.
    pub key: String,
    /// Where it was sent to.
    pub route: String,
    /// Its body.
    pub body: Value,
    /// The mark that each of its events bears, in order.
    pub marks: Vec<String>,
    /// How it was acknowledged, in order.
    pub acknowledged: Vec<Acknowledgement>,
}

/// All that was sent to one trial.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Events that were there before.
    pub before: Vec<Event>,
    /// What was sent.
    pub commands: Vec<Command>,
}

/// A recorded event.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The event.
    pub event: Event,
    /// The mark that it bears, if it is of a kind that bears one.
    pub mark: Option<String>,
}

impl Event {
    /// Those that an answer names.
    pub fn all_of(answer: &Value) -> Vec<Self> {
        let events = answer["events"].as_array().unwrap();
        events.iter().map(|event| Self::deserialize(event).unwrap()).collect()
    }
}

impl Recorded {
    /// An event as the API lists it.
    pub fn of(listed: &Value) -> Self {
        let mut event = listed["header"].clone();
        event["eventleaf"] = listed["eventleaf"].clone();
        let event = Event::deserialize(&event).unwrap();
        let mark = match event.kind.as_str() {
            "participant.screened" => listed["data"]["subjectNumber"].as_str().map(str::to_owned),
            "consent.signed" => listed["data"]["discussedBy"].as_str().map(str::to_owned),
            // Nothing in it can be chosen, but nobody is enrolled twice.
            "participant.enrolled" => event.subject.split_once('/').map(|(_, id)| enrolment_mark(id)),
            "data.recorded" => listed["data"]["record"]["items"][0]["value"].as_str().map(str::to_owned),
            _ => None,
        };
        Self { event, mark }
    }
}

/// The mark of a participant's enrolment.
pub fn enrolment_mark(participant: &str) -> String {
    format!("enrolment of {participant}")
}

impl History {
    /// Fails with all that is wrong.
    #[track_caller]
    pub fn assert_kept(&self, record: &[Recorded]) {
        let findings = self.findings(record);
        let told = findings.iter().take(TOLD).cloned().collect::<Vec<_>>().join("\n");
        assert!(findings.is_empty(), "{} findings, among them:\n{told}", findings.len());
    }

    /// What is wrong with the record of a trial after this history, or with the answers in it.
    pub fn findings(&self, record: &[Recorded]) -> Vec<String> {
        let mut findings = in_order(record);
        findings.extend(self.before.iter().filter_map(|event| {
            let kept = at(record, event.trialseq) == Some(event);
            (!kept).then(|| format!("event {} was there before and is not there as it was", event.trialseq))
        }));
        let mut by_mark: HashMap<&str, Vec<&Event>> = HashMap::new();
        for Recorded { event, mark } in record.iter().skip(self.before.len()) {
            match mark {
                Some(mark) => by_mark.entry(mark).or_default().push(event),
                // Somebody read the record meanwhile.
                None if event.kind == "record.read" => {}
                None => findings.push(format!("event {} bears no mark", event.trialseq)),
            }
        }
        let mut keys = HashSet::new();
        for command in &self.commands {
            if !keys.insert(&command.key) {
                findings.push(format!("two commands were sent as {}", command.key));
            }
            let recorded: Vec<Vec<&Event>> =
                command.marks.iter().map(|mark| by_mark.remove(mark.as_str()).unwrap_or_default()).collect();
            findings.extend(command.findings(&recorded));
        }
        let mut unsent: Vec<&&str> = by_mark.keys().collect();
        unsent.sort();
        findings.extend(unsent.iter().map(|mark| format!("{mark} was recorded and never sent")));
        findings
    }

    /// How often commands were acknowledged, all in all.
    pub fn acknowledgements(&self) -> usize {
        self.commands.iter().map(|command| command.acknowledged.len()).sum()
    }
}

impl Command {
    /// What is wrong, where these events bear its marks, mark by mark.
    fn findings(&self, recorded: &[Vec<&Event>]) -> Vec<String> {
        let key = &self.key;
        let times: Vec<usize> = recorded.iter().map(Vec::len).collect();
        let mut findings = Vec::new();
        if times.iter().any(|times| *times > 1) {
            findings.push(format!("{key} is recorded more than once: {times:?}"));
        } else if times.iter().any(|it| *it != times[0]) {
            findings.push(format!("{key} is recorded in part: {times:?}"));
        }
        let events: Vec<&Event> = recorded.iter().flatten().copied().collect();
        if events.windows(2).any(|two| two[1].trialseq != two[0].trialseq + 1) {
            findings.push(format!("the events of {key} do not follow each other"));
        }
        for (place, answer) in self.acknowledged.iter().enumerate() {
            if events.is_empty() {
                findings.push(format!("{key} was acknowledged and is not recorded"));
            } else if !answer.events.iter().eq(events.iter().copied()) {
                findings.push(format!(
                    "acknowledgement {place} of {key} says {:?}, and recorded is {events:?}",
                    answer.events
                ));
            }
            if place > 0 && !answer.replayed {
                findings.push(format!("acknowledgement {place} of {key} says that it is new"));
            }
        }
        findings
    }
}

fn at(record: &[Recorded], trialseq: u64) -> Option<&Event> {
    record.get(usize::try_from(trialseq).ok()?).map(|recorded| &recorded.event)
}

/// Places without gaps, times that do not go back, no id and no hash twice.
fn in_order(record: &[Recorded]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut names = HashSet::new();
    let mut time = "";
    for (place, Recorded { event, .. }) in (0..).zip(record) {
        if event.trialseq != place {
            findings.push(format!("event {} stands where event {place} should", event.trialseq));
        }
        // All are written with the same number of digits, so that they sort as times do.
        if event.time.as_str() < time {
            findings.push(format!("event {place} is dated before the one ahead of it"));
        }
        time = &event.time;
        if !names.insert(&event.id) || !names.insert(&event.eventleaf) {
            findings.push(format!("event {place} has the id or the hash of an earlier one"));
        }
    }
    findings
}

#[cfg(test)]
mod tests;

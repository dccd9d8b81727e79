//! Whether submissions are what their senders signed.
//!
//! An event `submission.signed` holds a command as it was sent, with its signature; the events that follow from it stand right
//! behind it and name it as their cause. Asked is what the ledger asked when it took the command, by the same rules; that the events
//! say what was signed; and, while the trial asks for signatures, that none is missing.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Deserialize;
use serde_json::Value;
use trialseal_record::command::MAX_RECORDS_PER_COMMAND;
use trialseal_record::event::{Event, ParticipantClosed, SubmissionSigned, UnreadableEvent};
use trialseal_record::submission::{self, Signed, Submission};
use trialseal_record::values::ClosingCause;
use trialseal_record::{Actor, Command, Context, ImportId, Role, StreamId, StreamKind, TrialState};
use trialseal_seal::event::Header;
use trialseal_seal::hash::{Hash, sha256};
use trialseal_seal::submission::{SubmissionSignature, SubmitterKey, statement};

use crate::outcome::Report;

/// Events that one command leads to, at most: the records of one, or two.
const MAX_EVENTS: usize = MAX_RECORDS_PER_COMMAND;

/// What is known of the submissions of a trial up to some line.
#[derive(Default)]
pub(super) struct Submissions {
    /// The keys, and whether signatures are asked for: the trial's stream, as far as that goes.
    state: TrialState,
    /// Whether an event about keys may stand where nothing is shown.
    keys_hidden: bool,
    /// The keys a reader expects; all where none is named.
    expected: BTreeSet<String>,
    keys: BTreeMap<String, Key>,
    /// The streams of the imports that have begun and not ended.
    open_imports: BTreeSet<String>,
    open: Option<Open>,
    used: HashSet<Hash>,
    signed: u64,
    unsigned: u64,
    unchecked: u64,
}

/// A key that senders sign with.
struct Key {
    holder: String,
    registered_at: u32,
    /// Whether it came without another key of the same sender vouching for it.
    is_first: bool,
    submissions: u64,
}

/// A submission whose events are being read.
struct Open {
    header: Header,
    /// What was signed; `None` where it is not shown.
    event: Option<SubmissionSigned>,
    /// The events behind it; without its data one that is not shown.
    follow: Vec<(Header, Option<Event>)>,
    too_many: bool,
}

/// Why a submission does not hold: a stable name and a sentence.
struct Broken(String, String);

/// The data of a line of the record. That they are what the header commits to was checked before.
#[derive(Deserialize)]
struct Line {
    data: Option<Value>,
}

impl Submissions {
    pub(super) fn new(expected: &[String]) -> Self {
        Self { expected: expected.iter().cloned().collect(), ..Self::default() }
    }

    /// Takes the next line, which was found to be what it should be, with its header; none where it shows none.
    pub(super) fn line(&mut self, report: &mut Report, header: Option<&Header>, line: &[u8]) {
        let Some(header) = header else {
            // It may be of any type, and come of the submission before it.
            if let Some(open) = &mut self.open {
                open.event = None;
            }
            self.close(report);
            self.keys_hidden = true;
            return;
        };
        let kind = header.kind.as_str();
        let cause = header.causationid.as_ref();
        let caused = cause.is_some() && cause == self.open.as_ref().map(|open| &open.header.id);
        if !caused {
            self.close(report);
        }
        let has_to_be_read = caused
            || kind.starts_with("submission")
            || self.state.requires_signatures() && can_be_submitted(kind);
        let is_of_files = ["participant.screened", "import.started", "import.completed"].contains(&kind);
        if !has_to_be_read && !is_of_files {
            self.unsigned += u64::from(submission::is_submitted(kind));
            return;
        }
        let Ok(Line { data }) = serde_json::from_slice(line) else { return };
        let header = header.clone();
        let kind = header.kind.clone();
        let version = header.schema_version().unwrap_or_default();
        let event = match data.map(|data| Event::from_stored(&kind, version, data)).transpose() {
            Ok(event) => event,
            // What data look like is no part of the format.
            Err(_) if !has_to_be_read => None,
            Err(UnreadableEvent::Malformed(..)) => {
                report.broken(place(&header), "submission-malformed", "its data are not of its type");
                None
            }
            // Written by newer software, so that it may be signed, or ask for signatures.
            Err(unreadable) => {
                report.missing(place(&header), "submission-unknown", unreadable.to_string());
                None
            }
        };
        match (&mut self.open, event) {
            // Its data went with the participant's key, and its type tells all that they said.
            (Some(open), None) if kind == "participant.closed" => {
                open.follow(header, Some(ParticipantClosed { cause: ClosingCause::Erasure }.into()));
            }
            (Some(open), event) => open.follow(header, event),
            (None, Some(Event::SubmissionSigned(event))) => self.begin(header, Some(event)),
            (None, None) if kind == "submission.signed" => self.begin(header, None),
            (None, event) => self.unsigned(report, &header, event.as_ref()),
        }
    }

    fn begin(&mut self, header: Header, event: Option<SubmissionSigned>) {
        self.open = Some(Open { header, event, follow: Vec::new(), too_many: false });
    }

    /// An event that no signature leads to.
    fn unsigned(&mut self, report: &mut Report, header: &Header, event: Option<&Event>) {
        self.unsigned += u64::from(submission::is_submitted(&header.kind) && !is_of_file(event));
        let lacks = match (header.kind.as_str(), event) {
            ("submission-key.registered" | "submission-signing.changed", _) => true,
            // A key that is lost; and what is not shown may have come in a file.
            ("submission-key.revoked", _) | ("participant.screened" | "data.imported", None) => false,
            (_, Some(Event::DataImported(row))) => self.lacks_file(row.import),
            (_, Some(Event::ParticipantScreened(screened))) => match screened.import {
                Some(import) => self.lacks_file(import),
                None => self.state.requires_signatures(),
            },
            (kind, _) => self.state.requires_signatures() && submission::is_submitted(kind),
        };
        if lacks {
            report.broken(
                place(header),
                "submission-unsigned",
                "it should be signed by its sender, and is not",
            );
        }
        self.learn(header, event, None);
    }

    /// Whether signatures are asked for and this file was not on its way before.
    fn lacks_file(&self, import: ImportId) -> bool {
        self.state.requires_signatures() && !self.open_imports.contains(&StreamId::import(import).to_string())
    }

    /// Ends the submission that is being read.
    fn close(&mut self, report: &mut Report) {
        let Some(open) = self.open.take() else { return };
        match self.check(&open) {
            None => self.unchecked += 1,
            Some(Ok(key)) => {
                self.signed += 1;
                if let Some(key) = self.keys.get_mut(&key) {
                    key.submissions += 1;
                }
            }
            Some(Err(Broken(code, message))) => report.broken(place(&open.header), &code, message),
        }
        let by = open.event.and_then(|event| SubmissionSignature::parse(event.signature.as_str()).ok());
        let by = by.as_ref().map(SubmissionSignature::key);
        for (header, event) in open.follow {
            self.learn(&header, event.as_ref(), by);
        }
    }

    /// The key that made the signature; `None` where too little is shown to tell.
    fn check(&mut self, open: &Open) -> Option<Result<String, Broken>> {
        let Open { header, event, follow, too_many } = open;
        let event = event.as_ref()?;
        if *too_many {
            return Some(Err(differs("it leads to more events than any command does")));
        }
        let shown = follow.iter().map(|(header, event)| Some((header, event.as_ref()?)));
        let followed: Vec<_> = shown.collect::<Option<_>>()?;
        let checked = self.check_signature(header, event).and_then(|(submitted, key)| {
            check_events(header, &submitted, &followed)?;
            Ok(key)
        });
        match checked {
            Err(Broken(code, _)) if self.keys_hidden && code == "submission-key-own" => None,
            checked => Some(checked),
        }
    }

    fn check_signature(
        &mut self,
        header: &Header,
        event: &SubmissionSigned,
    ) -> Result<(Submission, String), Broken> {
        let path = event.path.as_str();
        let submitted = Submission::read(path, &event.body);
        let (trial, submitted) =
            submitted.ok_or_else(|| differs("what was sent is no command of this software"))?;
        if trial.as_str() != header.trial {
            return Err(differs("it was sent to another trial"));
        }
        let signature =
            SubmissionSignature::parse(event.signature.as_str()).map_err(|refused| refused_as(&refused))?;
        let key = SubmitterKey::from_x(signature.key()).map_err(|refused| refused_as(&refused))?;
        let bytes = statement(&header.source, path, event.idempotency_key.as_str(), &event.body);
        let name = signature.key().parse().map_err(|_| differs("its key has no name that can be read"))?;
        let seconds = i64::try_from(signature.signed_at()).unwrap_or(i64::MAX);
        let signed = Signed {
            key: name,
            signed_at_micros: seconds.saturating_mul(1_000_000),
            verifies: signature.verify(&key, &bytes).is_ok(),
            event: event.clone(),
        };
        let role: Role =
            header.actorrole.parse().map_err(|_| differs("its role is unknown to this software"))?;
        let actor = Actor { id: header.actor.clone(), role, organisation: String::new() };
        let context = Context {
            now_micros: header.time.micros(),
            actor,
            signed: Some(signed),
            answered: None,
            new_id: uuid::Uuid::nil(),
        };
        submission::check(&self.state, submitted.command(), &context)
            .map_err(|refusal| Broken(refusal.rule.replace('.', "-"), refusal.message))?;
        let use_of_key = [header.actor.as_bytes(), b"\n", event.idempotency_key.as_str().as_bytes()].concat();
        if !self.used.insert(sha256(&use_of_key)) {
            return Err(Broken("submission-twice".into(), "the same submission was recorded before".into()));
        }
        Ok((submitted, signature.key().to_owned()))
    }

    /// Takes in what an event says about keys. It was signed with the key `by`.
    fn learn(&mut self, header: &Header, event: Option<&Event>, by: Option<&str>) {
        let Some(event) = event else {
            self.keys_hidden |= header.kind.starts_with("submission");
            return;
        };
        match event {
            Event::SubmissionKeyRegistered(event) => {
                let x = event.key.x.as_str();
                let key = Key {
                    holder: event.holder.to_string(),
                    registered_at: header.trialseq,
                    is_first: by.is_none_or(|by| by == x),
                    submissions: u64::from(by == Some(x)),
                };
                self.keys.insert(x.to_owned(), key);
            }
            Event::ImportStarted(_) => {
                self.open_imports.insert(header.subject.clone());
            }
            Event::ImportCompleted(_) => {
                self.open_imports.remove(&header.subject);
            }
            _ => {}
        }
        // What else the state of a trial knows has no say in it.
        if header.kind.starts_with("submission") {
            self.state.evolve(event, 0);
        }
    }

    /// Ends the record: what was established.
    pub(super) fn finish(mut self, report: &mut Report) {
        self.close(report);
        for (x, key) in
            self.keys.iter().filter(|(x, _)| !self.expected.is_empty() && !self.expected.contains(*x))
        {
            let message = "this key of a sender is none of those you expect";
            report.broken(format!("{x} (event {})", key.registered_at), "submission-key-unexpected", message);
        }
        if self.keys.is_empty() && self.signed + self.unchecked == 0 {
            return;
        }
        report.fact("submissionsSigned", "Submissions as their senders signed them", self.signed);
        report.fact("submissionsUnsigned", "Events of submissions without a signature", self.unsigned);
        report.fact(
            "submissionsUnchecked",
            "Signed submissions not shown whole, so not checked",
            self.unchecked,
        );
        let keys: Vec<_> = self.keys.iter().map(|(x, key)| Value::from(key.describe(x))).collect();
        report.fact("submissionKeys", "Keys of senders", keys);
    }
}

impl Open {
    fn follow(&mut self, header: Header, event: Option<Event>) {
        self.too_many |= self.follow.len() >= MAX_EVENTS;
        if !self.too_many {
            self.follow.push((header, event));
        }
    }
}

impl Key {
    fn describe(&self, x: &str) -> String {
        let Self { holder, registered_at, is_first, submissions } = self;
        let vouched = if *is_first { "vouched for by nobody" } else { "vouched for by an earlier one" };
        format!("{x} of {holder}, registered by event {registered_at}, {vouched}, {submissions} submissions")
    }
}

/// Whether these events say what was signed, by whom, and of whom.
fn check_events(
    signed: &Header,
    submitted: &Submission,
    followed: &[(&Header, &Event)],
) -> Result<(), Broken> {
    let events: Vec<_> = followed.iter().map(|(_, event)| (*event).clone()).collect();
    if !submitted.is_what_was_recorded(&signed.actor, &events) {
        return Err(differs("its events do not say what was signed"));
    }
    let by_same = |header: &Header| header.actor == signed.actor && header.actorrole == signed.actorrole;
    if !followed.iter().all(|(header, _)| by_same(header)) {
        return Err(differs("its events are by somebody else than who signed"));
    }
    let stream = stream_of(signed, submitted);
    let participant = submitted.command().and_then(Command::participant);
    let is_there = |(header, event): &(&Header, &Event)| match (event, participant) {
        (Event::ParticipantClosed(_), Some(id)) => header.subject == StreamId::participant(id).to_string(),
        _ => Some(&header.subject) == stream.as_ref(),
    };
    if stream.as_ref() != Some(&signed.subject) || !followed.iter().all(is_there) {
        return Err(differs("its events are about something else than what was signed"));
    }
    Ok(())
}

/// The stream that it writes to: a new one, whose first event is the submission's, where it makes something.
fn stream_of(signed: &Header, submitted: &Submission) -> Option<String> {
    let new = |kind: StreamKind| {
        let stream: StreamId = signed.subject.parse().ok()?;
        (stream.kind() == kind && signed.streamseq == 0).then_some(stream)
    };
    let Some(command) = submitted.command() else { return Some(new(StreamKind::Import)?.to_string()) };
    let stream = match (command, command.participant()) {
        (Command::ScreenParticipant(_), _) => new(StreamKind::Participant)?,
        (Command::ActivateSite(_), _) => new(StreamKind::Site)?,
        (Command::RequestErasure(..) | Command::ApproveErasure(..), Some(id)) => StreamId::erasure_of(id),
        (Command::RequestRedaction(..) | Command::ApproveRedaction(..), Some(id)) => {
            StreamId::redactions_of(id)
        }
        (_, Some(id)) => StreamId::participant(id),
        (_, None) => StreamId::trial(&signed.trial.parse().ok()?),
    };
    Some(stream.to_string())
}

/// Whether events of this type can come of what a sender sends, as one of newer software may.
fn can_be_submitted(kind: &str) -> bool {
    let is_known = Event::KINDS.iter().any(|(known, _)| *known == kind);
    submission::is_submitted(kind) || kind == "data.imported" || !is_known
}

/// Whether it made a participant known whom a file names.
fn is_of_file(event: Option<&Event>) -> bool {
    matches!(event, Some(Event::ParticipantScreened(event)) if event.import.is_some())
}

fn differs(message: &str) -> Broken {
    Broken("submission-differs".into(), message.into())
}

fn refused_as(refused: &trialseal_seal::Refused) -> Broken {
    Broken(refused.code().to_string(), refused.to_string())
}

fn place(header: &Header) -> String {
    format!("record.ndjson line {} (event {})", u64::from(header.trialseq) + 1, header.id)
}

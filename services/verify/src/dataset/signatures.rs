//! Whether electronic signatures are their signers', on the version of the record that they say, and whether that still stands.
//!
//! Asked is what the ledger asked when it took the signature, by the same rules, and that the digest which was signed is that of the
//! events before it in the record's stream.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use trialseal_record::event::{Event, SignatureApplied, SigningKeyRegistered, UnreadableEvent};
use trialseal_record::signature::{self, Answered};
use trialseal_record::values::{Passkey, PasskeyAnswer};
use trialseal_record::{Actor, Base64Url, Context, Refusal, Role, StreamId, StreamKind, TrialState};
use trialseal_seal::Refused;
use trialseal_seal::assertion::Answer;
use trialseal_seal::event::Header;
use trialseal_seal::hash::Hash;
use trialseal_seal::signature::{RecordDigest, Registering, Signing};

use crate::outcome::Report;

const APPLIED: &str = "signature.applied";
/// What types about passkeys begin with.
const KEYS: &str = "signing-key.";

/// What is known of the signatures of a trial up to some line.
#[derive(Default)]
pub(super) struct Signatures {
    /// The passkeys: the trial's stream, as far as they go.
    state: TrialState,
    /// Whether an event about passkeys may stand where nothing is shown.
    keys_hidden: bool,
    /// Whether an event of a record may stand where nothing is shown.
    events_hidden: bool,
    keys: BTreeMap<Base64Url, Key>,
    records: BTreeMap<String, Record>,
    applied: Vec<Applied>,
    unchecked: u64,
}

/// A passkey that somebody signs with.
struct Key {
    holder: String,
    name: String,
    relying_party: String,
    registered_at: u32,
    signatures: u64,
}

/// A record that can be signed.
#[derive(Default)]
struct Record {
    digest: RecordDigest,
    /// Which signatures on it are in force.
    in_force: Vec<usize>,
}

/// A signature that holds.
struct Applied {
    what: String,
    /// What superseded it: an event's place and type.
    superseded: Option<(u32, String)>,
}

/// The data of a line of the record. That they are what the header commits to was checked before.
#[derive(Deserialize)]
struct Line {
    data: Option<Value>,
}

/// Why a signature does not hold: a stable name and a sentence.
struct Broken(String, String);

impl From<Refusal> for Broken {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.rule.replace('.', "-"), refusal.message)
    }
}

impl Signatures {
    /// Takes the next line, which was found to be what it should be, with its header and leaf; none where it shows none.
    pub(super) fn line(&mut self, report: &mut Report, shown: Option<(&Header, Hash)>, line: &[u8]) {
        let Some((header, leaf)) = shown else {
            (self.keys_hidden, self.events_hidden) = (true, true);
            return;
        };
        if header.kind.starts_with(KEYS) {
            match event(report, header, line) {
                Some(event) => self.key(report, header, &event),
                None => self.keys_hidden = true,
            }
        }
        if !is_record(&header.subject) {
            return;
        }
        if header.kind == APPLIED {
            match event(report, header, line) {
                Some(Event::SignatureApplied(event)) => self.signature(report, header, &event),
                _ => self.unchecked += 1,
            }
        }
        let record = self.records.entry(header.subject.clone()).or_default();
        record.digest.push(&leaf);
        if header.kind != APPLIED {
            for place in record.in_force.drain(..) {
                if let Some(applied) = self.applied.get_mut(place) {
                    applied.superseded = Some((header.trialseq, header.kind.clone()));
                }
            }
        }
    }

    fn key(&mut self, report: &mut Report, header: &Header, event: &Event) {
        if let Event::SigningKeyRegistered(key) = event {
            match self.check_key(header, key) {
                Ok(()) => drop(self.keys.insert(key.passkey.credential.clone(), Key::of(header, key))),
                Err(_) if self.keys_hidden => self.unchecked += 1,
                Err(Broken(code, message)) => report.broken(place(header), &code, message),
            }
        }
        // What else the state of a trial knows has no say in it.
        self.state.evolve(event, 0);
    }

    fn check_key(&self, header: &Header, key: &SigningKeyRegistered) -> Result<(), Broken> {
        let passkey = serde_json::to_value(&key.passkey).map_err(|_| differs("its passkey is none"))?;
        let statement = Registering {
            ledger: &header.source,
            trial: &header.trial,
            signer: &header.actor,
            name: key.name.as_str(),
            passkey: &passkey,
            accepts: key.accepts.as_str(),
            at: key.at,
        };
        let refused = answer(&key.passkey, &key.answer, &statement.statement()).err();
        let answered = Answered { refused: refused.map(|refused| refused.to_string()), digest: None };
        Ok(signature::check_key(&self.state, key, &context(header, answered)?)?)
    }

    fn signature(&mut self, report: &mut Report, header: &Header, event: &SignatureApplied) {
        match self.check(header, event) {
            Ok(()) => {
                if let Some(key) = self.keys.get_mut(&event.credential) {
                    key.signatures += 1;
                }
                let record = self.records.entry(header.subject.clone()).or_default();
                record.in_force.push(self.applied.len());
                self.applied.push(Applied { what: describe(header, event), superseded: None });
            }
            // An event that is not shown may be of this record, or say whose the passkey is.
            Err(_) if self.events_hidden || self.keys_hidden => self.unchecked += 1,
            Err(Broken(code, message)) => report.broken(place(header), &code, message),
        }
    }

    fn check(&self, header: &Header, event: &SignatureApplied) -> Result<(), Broken> {
        let record = self.records.get(&header.subject);
        let digest = record.map(|record| &record.digest).filter(|it| it.version() == event.version);
        let digest = digest.filter(|_| event.version == u64::from(header.streamseq));
        let digest =
            digest.ok_or_else(|| differs("it is not on the version of the record before it"))?.digest();
        if digest.to_string() != event.digest.as_str() {
            return Err(differs("its digest is not that of the record before it"));
        }
        let key = self.state.signing_key(&event.credential);
        let answered = key.map(|key| {
            let statement = Signing {
                ledger: &header.source,
                trial: &header.trial,
                record: &header.subject,
                version: event.version,
                digest,
                signer: &header.actor,
                name: event.name.as_str(),
                meaning: event.meaning.as_str(),
                credential: event.credential.as_str(),
                at: event.at,
            };
            let refused = answer(&key.passkey, &event.answer, &statement.statement()).err();
            Answered {
                refused: refused.map(|refused| refused.to_string()),
                digest: Some(event.digest.clone()),
            }
        });
        let context = Context { answered, ..bare_context(header)? };
        let (key, _) = signature::check(&self.state, &event.credential, event.meaning, event.at, &context)?;
        if key.name == event.name { Ok(()) } else { Err(differs("it prints another name than its key")) }
    }

    /// Ends the record: what was established.
    pub(super) fn finish(self, report: &mut Report) {
        if self.keys.is_empty() && self.applied.is_empty() && self.unchecked == 0 {
            return;
        }
        let superseded = self.applied.iter().filter(|applied| applied.superseded.is_some()).count();
        report.fact("signaturesInForce", "Electronic signatures in force", self.applied.len() - superseded);
        report.fact("signaturesSuperseded", "Electronic signatures on older versions", superseded);
        report.fact(
            "signaturesUnchecked",
            "Electronic signatures not shown whole, so not checked",
            self.unchecked,
        );
        let signatures: Vec<_> = self.applied.iter().map(|it| Value::from(it.describe())).collect();
        report.fact("signatures", "Electronic signatures", signatures);
        let keys: Vec<_> = self.keys.iter().map(|(id, key)| Value::from(key.describe(id))).collect();
        report.fact("signingKeys", "Passkeys of signers", keys);
    }
}

impl Key {
    fn of(header: &Header, key: &SigningKeyRegistered) -> Self {
        Self {
            holder: key.holder.to_string(),
            name: key.name.to_string(),
            relying_party: key.passkey.relying_party.to_string(),
            registered_at: header.trialseq,
            signatures: 0,
        }
    }

    fn describe(&self, id: &Base64Url) -> String {
        let Self { holder, name, relying_party, registered_at, signatures } = self;
        format!(
            "{id} of {name} ({holder}) at {relying_party}, registered by event {registered_at}, {signatures} signatures"
        )
    }
}

impl Applied {
    fn describe(&self) -> String {
        match &self.superseded {
            None => format!("{}, in force", self.what),
            Some((place, kind)) => format!("{}, superseded by event {place} ({kind})", self.what),
        }
    }
}

/// Whether signatures are put on the record of this stream.
fn is_record(stream: &str) -> bool {
    stream.parse().is_ok_and(|stream: StreamId| stream.kind() == StreamKind::Participant)
}

/// The event of a line; nothing where its data are not shown, or are not of their type, which is reported.
fn event(report: &mut Report, header: &Header, line: &[u8]) -> Option<Event> {
    let data = serde_json::from_slice::<Line>(line).ok()?.data?;
    let version = header.schema_version().unwrap_or_default();
    match Event::from_stored(&header.kind, version, data) {
        Ok(event) => Some(event),
        Err(UnreadableEvent::Malformed(..)) => {
            report.broken(place(header), "signature-malformed", "its data are not of its type");
            None
        }
        // Written by newer software.
        Err(unreadable) => {
            report.missing(place(header), "signature-unknown", unreadable.to_string());
            None
        }
    }
}

fn context(header: &Header, answered: Answered) -> Result<Context, Broken> {
    Ok(Context { answered: Some(answered), ..bare_context(header)? })
}

fn bare_context(header: &Header) -> Result<Context, Broken> {
    let role: Role = header.actorrole.parse().map_err(|_| differs("its role is unknown to this software"))?;
    Ok(Context {
        now_micros: header.time.micros(),
        actor: Actor { id: header.actor.clone(), role, organisation: String::new() },
        signed: None,
        answered: None,
        new_id: uuid::Uuid::nil(),
    })
}

fn answer(passkey: &Passkey, answer: &PasskeyAnswer, statement: &[u8]) -> Result<(), Refused> {
    let answer = Answer {
        relying_party: passkey.relying_party.as_str(),
        x: passkey.key.x.as_str(),
        y: passkey.key.y.as_str(),
        authenticator_data: answer.authenticator_data.as_str(),
        client_data: answer.client_data.as_str(),
        signature: answer.signature.as_str(),
    };
    answer.verify(statement)
}

fn describe(header: &Header, event: &SignatureApplied) -> String {
    format!(
        "{} version {}: {} by {} ({}, {}) at {}",
        header.subject, event.version, event.meaning, event.name, header.actor, header.actorrole, header.time
    )
}

fn differs(message: &str) -> Broken {
    Broken("signature-differs".into(), message.into())
}

fn place(header: &Header) -> String {
    format!("record.ndjson line {} (event {})", u64::from(header.trialseq) + 1, header.id)
}

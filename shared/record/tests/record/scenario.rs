//! `given(history).by(role).when(command).then(events)`, or `.refused(rule)`.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use trialseal_record::event::Event;
use trialseal_record::signature::Answered;
use trialseal_record::{
    Actor, Command, Context, Decision, ErasureState, ImportState, ParticipantState, RULES, RedactionState,
    Refusal, Role, Signed, SiteState, State, StreamId, StreamKind, TrialState, decide,
};
use uuid::Uuid;

/// The id every decision is offered for what it creates.
pub(crate) const NEW_ID: Uuid = Uuid::from_u128(0x0193_a5c2_7d1e_7a40_9c11_0000_0000_0099);

/// 2026-03-01T12:00:00Z, when every decision is made.
pub(crate) const NOW_MICROS: i64 = 1_772_366_400_000_000;

pub(crate) type History = Vec<(StreamId, Event)>;

#[derive(Default)]
pub(crate) struct Given {
    versions: BTreeMap<StreamId, u64>,
    trial: TrialState,
    sites: BTreeMap<StreamId, SiteState>,
    participants: BTreeMap<StreamId, ParticipantState>,
    erasures: BTreeMap<StreamId, ErasureState>,
    redactions: BTreeMap<StreamId, RedactionState>,
    events: BTreeMap<(StreamId, u64), Event>,
    imports: BTreeMap<StreamId, ImportState>,
}

/// The states after a history.
pub(crate) fn given(history: impl IntoIterator<Item = (StreamId, Event)>) -> Given {
    let mut given = Given::default();
    for (stream, event) in history {
        given.apply(stream, &event);
    }
    given
}

/// A command body or a value, from the JSON a client would send.
pub(crate) fn body<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).unwrap()
}

/// An event, from the JSON that would be stored.
pub(crate) fn event(kind: &str, data: Value) -> Event {
    let (_, version) = Event::KINDS.iter().find(|(known, _)| *known == kind).unwrap();
    Event::from_stored(kind, *version, data).unwrap()
}

impl Given {
    fn apply(&mut self, stream: StreamId, event: &Event) {
        let version = self.versions.entry(stream).or_default();
        let streamseq = *version;
        *version += 1;
        self.events.insert((stream, streamseq), event.clone());
        match stream.kind() {
            StreamKind::Trial
            | StreamKind::Ledger
            | StreamKind::Access
            | StreamKind::Blinded
            | StreamKind::Emergency
            | StreamKind::Grant
            | StreamKind::Login => {
                self.trial.evolve(event, streamseq);
            }
            StreamKind::Site => self.sites.entry(stream).or_default().evolve(event, streamseq),
            StreamKind::Participant => self.participants.entry(stream).or_default().evolve(event, streamseq),
            StreamKind::Erasure => self.erasures.entry(stream).or_default().evolve(event, streamseq),
            StreamKind::Redaction => self.redactions.entry(stream).or_default().evolve(event, streamseq),
            StreamKind::Import => self.imports.entry(stream).or_default().evolve(event, streamseq),
        }
    }

    pub(crate) fn participant(&self, stream: StreamId) -> &ParticipantState {
        &self.participants[&stream]
    }

    pub(crate) fn by(self, role: Role) -> When {
        When { given: self, id: "actor-1", role, signed: None, answered: None }
    }
}

pub(crate) struct When {
    given: Given,
    id: &'static str,
    role: Role,
    signed: Option<Signed>,
    answered: Option<Answered>,
}

impl When {
    /// Under another id than that of all scenarios.
    pub(crate) fn called(self, id: &'static str) -> Self {
        Self { id, ..self }
    }

    /// With this signature on the command.
    pub(crate) fn signed(self, signed: impl Into<Option<Signed>>) -> Self {
        Self { signed: signed.into(), ..self }
    }

    /// With this answer of a passkey.
    pub(crate) fn answered(self, answered: impl Into<Option<Answered>>) -> Self {
        Self { answered: answered.into(), ..self }
    }

    pub(crate) fn when(self, command: &Command) -> Outcome {
        let Self { given, id, role, signed, answered } = self;
        let actor = Actor { id: id.into(), role, organisation: "Example".into() };
        let context = Context { now_micros: NOW_MICROS, actor, signed, answered, new_id: NEW_ID };
        let state = State {
            trial: &given.trial,
            site: command.site().and_then(|id| given.sites.get(&StreamId::site(id))),
            participant: command
                .participant()
                .and_then(|id| given.participants.get(&StreamId::participant(id))),
            erasure: command.erasure().and_then(|id| given.erasures.get(&StreamId::erasure_of(id))),
            redaction: command
                .redaction()
                .and_then(|(id, _)| given.redactions.get(&StreamId::redactions_of(id))),
            target: command
                .redaction()
                .and_then(|(id, place)| given.events.get(&(StreamId::participant(id), place))),
            import: command.import().and_then(|id| given.imports.get(&StreamId::import(id))),
        };
        let answer = decide(&state, command, &context);
        assert_eq!(answer, decide(&state, command, &context), "the same arguments decide the same");
        if let Ok(decision) = &answer
            && command.path(&"DEMO-1".parse().unwrap()).is_some()
        {
            let is_own = |event: &Event| !matches!(event, Event::SubmissionSigned(_));
            let events = decision.events.iter().map(|(_, event)| event.clone()).filter(is_own);
            let events: Vec<_> = events.collect();
            assert!(command.is_what_was_recorded(id, &events), "{command:?} is not what {events:?} say");
        }
        Outcome { answer, given }
    }
}

pub(crate) struct Outcome {
    answer: Result<Decision, Refusal>,
    given: Given,
}

impl Outcome {
    /// Exactly these events follow.
    #[track_caller]
    pub(crate) fn then(self, events: impl IntoIterator<Item = (StreamId, Event)>) -> Decided {
        let decision = self.answer.expect("the command is refused");
        assert_eq!(decision.events, events.into_iter().collect::<Vec<_>>());
        let mut after = self.given;
        for (stream, event) in &decision.events {
            after.apply(*stream, event);
        }
        Decided { decision, after }
    }

    /// What follows.
    #[track_caller]
    pub(crate) fn events(self) -> Vec<(StreamId, Event)> {
        self.answer.expect("the command is refused").events
    }

    /// Something follows; what, is told by another test.
    #[track_caller]
    pub(crate) fn accepted(self) {
        self.answer.expect("the command is refused");
    }

    /// What stands against it, if anything does.
    pub(crate) fn refusal(self) -> Option<Refusal> {
        self.answer.err()
    }

    /// The rule stands against it.
    #[track_caller]
    pub(crate) fn refused(self, rule: &str) {
        let refusal = self.answer.expect_err("the command is not refused");
        assert_eq!(refusal.rule, rule, "{refusal}");
        let known = RULES.iter().find(|known| known.id == rule).expect("the rule is in the table");
        assert_eq!((refusal.kind, refusal.hint), (known.kind, known.hint));
        assert!(!refusal.message.is_empty());
    }
}

/// What was decided, and the states after it.
pub(crate) struct Decided {
    pub(crate) decision: Decision,
    pub(crate) after: Given,
}

//! The plan, decided by the record's own rules: what the service would refuse is found here, without a service.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use trialseal_record::{
    Actor, Command, Context, Decision, ParticipantId, ParticipantState, SiteId, SiteState, State, StreamId,
    TrialState, decide,
};

use super::{Plan, Step, all_steps, kind};

/// The first of January 2026.
const NOW_MICROS: i64 = 1_767_225_600_000_000;

fn parse<T: DeserializeOwned>(body: &str) -> T {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// A trial as it stands after some steps.
#[derive(Default)]
struct Record {
    trial: TrialState,
    sites: HashMap<SiteId, SiteState>,
    participants: HashMap<ParticipantId, ParticipantState>,
    versions: HashMap<StreamId, u64>,
    /// The ids that steps have learnt, by name.
    ids: HashMap<String, String>,
}

impl Record {
    fn take(&mut self, step: &Step) {
        let context = Context {
            now_micros: NOW_MICROS,
            actor: Actor {
                id: "demo".to_owned(),
                role: step.role.name().parse().unwrap(),
                organisation: "Demo".to_owned(),
            },
            signed: None,
            answered: None,
            new_id: format!("0190a8f0-0000-7000-8000-{:012}", self.ids.len()).parse().unwrap(),
        };
        let command = self.command(step);
        let state = State {
            site: command.site().map(|id| &self.sites[&id]),
            participant: command.participant().map(|id| &self.participants[&id]),
            ..State::of(&self.trial)
        };
        let decision =
            decide(&state, &command, &context).unwrap_or_else(|refusal| panic!("{}: {refusal}", step.key));
        assert!(decision.exceptions.is_empty(), "{}: {:?}", step.key, decision.exceptions);
        self.evolve(&decision);
        if let Some((_, name)) = &step.learns {
            self.ids.insert(name.clone(), context.new_id.to_string());
        }
    }

    fn evolve(&mut self, decision: &Decision) {
        for (stream, event) in &decision.events {
            let version = self.versions.entry(*stream).or_default();
            if let Some(id) = stream.as_participant() {
                self.participants.entry(id).or_default().evolve(event, *version);
            } else if let Some(id) = stream.as_site() {
                self.sites.entry(id).or_default().evolve(event, *version);
            } else {
                self.trial.evolve(event, *version);
            }
            *version += 1;
        }
    }

    fn command(&self, step: &Step) -> Command {
        let mut body = step.body.clone();
        if let Some(Value::String(site)) = body.get_mut("site") {
            *site = self.ids[site.trim_matches(['{', '}'])].clone();
        }
        let body = body.to_string();
        let participant = || -> ParticipantId {
            let name = step.path.split(['{', '}']).nth(1).unwrap();
            self.ids[name].parse().unwrap()
        };
        match kind(step).as_str() {
            "" => Command::RegisterTrial(parse(&body)),
            "protocol-versions" => Command::SubmitProtocolVersion(parse(&body)),
            "irb-decisions" => Command::RecordIrbDecision(parse(&body)),
            "sites" => Command::ActivateSite(parse(&body)),
            "consent-versions" => Command::PublishConsentVersion(parse(&body)),
            "results" => Command::SubmitResults(parse(&body)),
            "participants" => Command::ScreenParticipant(parse(&body)),
            "participants/enrolment" => Command::EnrolParticipant(participant(), parse(&body)),
            "participants/consents" => Command::SignConsent(participant(), parse(&body)),
            "participants/consent-withdrawals" => Command::WithdrawConsent(participant(), parse(&body)),
            "participants/visits" => Command::RecordVisit(participant(), parse(&body)),
            "participants/data" => Command::RecordData(participant(), parse(&body)),
            "participants/data/corrections" => Command::CorrectData(participant(), parse(&body)),
            "participants/adverse-events" => Command::ReportAdverseEvent(participant(), parse(&body)),
            "participants/disposition" => Command::RecordDisposition(participant(), parse(&body)),
            other => panic!("{other} is no command"),
        }
    }
}

#[test]
fn the_record_takes_every_step() {
    let mut record = Record::default();
    for step in all_steps(&Plan::generate()) {
        record.take(&step);
    }
    assert_eq!((record.sites.len(), record.participants.len()), (3, 60));
    let events: u64 = record.versions.values().sum();
    assert!((1000..2000).contains(&events), "{events} events");
}

use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::ids::{ImportId, ParticipantId, SiteId, TrialId};

/// Given events, in order, each of a stream.
struct History(Vec<(StreamId, Event)>);

impl History {
    fn of(events: &[(StreamId, &str, serde_json::Value)]) -> Self {
        let version = |kind: &str| Event::KINDS.iter().find(|(known, _)| *known == kind).unwrap().1;
        let read = |(stream, kind, data): &(StreamId, &str, serde_json::Value)| {
            (*stream, Event::from_stored(kind, version(kind), data.clone()).unwrap())
        };
        Self(events.iter().map(read).collect())
    }

    fn each(&self, readable: impl Fn(StreamId) -> bool, mut fold: impl FnMut(&Recorded<'_>)) {
        for (place, (subject, event)) in self.0.iter().enumerate() {
            let trialseq = place as u64;
            let streamseq = self.0[..place].iter().filter(|(stream, _)| stream == subject).count() as u64;
            fold(&Recorded {
                trialseq,
                streamseq,
                id: "0193a5c2-7d1e-7a40-9c11-5f2a6b7c8d9e",
                kind: event.kind(),
                time: &format!("2026-01-01T00:00:{trialseq:02}.000000Z"),
                actor: "a1",
                actor_role: "investigator",
                organisation: Some("site-01"),
                subject: *subject,
                event: Some(event).filter(|_| readable(*subject)),
            });
        }
    }
}

fn trial() -> StreamId {
    StreamId::trial(&"T".parse::<TrialId>().unwrap())
}

fn participant() -> ParticipantId {
    ParticipantId(Uuid::from_u128(7))
}

fn import() -> ImportId {
    ImportId(Uuid::from_u128(8))
}

fn history() -> History {
    let (p, site) = (StreamId::participant(participant()), StreamId::site(SiteId(Uuid::from_u128(9))));
    let reading = |value: &str| json!([{"itemOid": "IT.SYSBP", "value": value, "unit": "mmHg"}]);
    let row = json!({"import": import(), "dataset": "LB", "row": 3, "record": {"LBSTRESN": "38.0", "LBSEQ": 1},
        "exceptions": [{"rule": "consent-in-force", "detail": "no consent"}]});
    History::of(&[
        (trial(), "trial.registered", json!({"id": "T", "title": "A trial", "sponsor": "Example Ltd"})),
        (
            site,
            "site.activated",
            json!({"number": "01", "name": "Clinic", "investigator": "Dr A", "activatedOn": "2026-01-01",
                "protocolVersion": "1"}),
        ),
        (p, "participant.screened", json!({"subjectNumber": "01-001", "screenedOn": "2026-01-02"})),
        (
            p,
            "consent.signed",
            json!({"consentVersion": "1", "language": "en", "signedBy": "participant", "signedOn": "2026-01-02",
                "discussedBy": "Dr A", "discussedOn": "2026-01-02", "sharing": {"research": true}}),
        ),
        (p, "participant.enrolled", json!({"enrolledOn": "2026-01-03"})),
        (
            p,
            "data.recorded",
            json!({"record": {"visit": "V1", "form": "VS", "itemGroup": "IG", "collectedOn": "2026-01",
                "items": reading("120")}}),
        ),
        (
            p,
            "data.corrected",
            json!({"visit": "V1", "form": "VS", "itemGroup": "IG", "itemOid": "IT.SYSBP", "old": "120",
                "oldUnit": "mmHg", "new": "130", "newUnit": "mmHg", "reason": "typing error"}),
        ),
        (p, "data.imported", row),
        (p, "consent.withdrawn", json!({"scope": ["future-data"], "withdrawnOn": "2026-01-05"})),
        (p, "participant.discontinued", json!({"on": "2026-01-06"})),
    ])
}

fn overview(readable: impl Fn(StreamId) -> bool) -> Overview {
    let mut overview = Overview::default();
    history().each(readable, |recorded| overview.apply(recorded));
    overview
}

#[test]
fn an_overview_says_what_the_trial_is_and_counts_the_rest() {
    let overview = overview(|_| true);
    assert_eq!(overview.title.unwrap().as_str(), "A trial");
    assert_eq!(overview.sites.len(), 1);
    assert_eq!(
        serde_json::to_value(overview.counts).unwrap(),
        json!({"events": 10, "sites": 1, "participants": 1, "screenFailed": 0, "enrolled": 1, "discontinued": 1,
            "completed": 0, "consentsSigned": 1, "consentsWithdrawn": 1, "visits": 0, "dataRecorded": 1,
            "dataCorrected": 1, "dataImported": 1, "adverseEvents": 0})
    );
    assert_eq!(overview.last_recorded, "2026-01-01T00:00:09.000000Z");
}

#[test]
fn an_overview_stays_equal_when_a_participants_data_are_destroyed() {
    assert_eq!(overview(|_| true), overview(|stream| stream.as_participant().is_none()));
}

#[test]
fn a_participant_is_what_the_newest_events_say() {
    let mut view = ParticipantView::default();
    history().each(
        |_| true,
        |r| {
            if r.subject.as_participant().is_some() {
                view.apply(r);
            }
        },
    );
    assert_eq!(view.participant, Some(participant()));
    assert_eq!(view.status, ParticipantStatus::Discontinued);
    assert_eq!(view.ended_on.unwrap().to_string(), "2026-01-06");
    assert!(view.consent.unwrap().sharing.research);
    assert_eq!(view.withdrawals.len(), 1);
    assert_eq!((view.data_records, view.corrections, view.exceptions, view.events), (2, 1, 1, 8));
}

#[test]
fn a_timeline_tells_when_each_thing_happened_and_what_breaks_a_rule() {
    let mut lines = Vec::new();
    history().each(
        |_| true,
        |r| lines.extend(TimelineEntry::of(r).filter(|_| r.subject.as_participant().is_some())),
    );
    let told: Vec<_> =
        lines.iter().map(|line| (line.streamseq, line.happened.as_deref(), line.summary.as_str())).collect();
    assert_eq!(told[0], (0, Some("2026-01-02"), "screened"));
    assert_eq!(told[1], (1, Some("2026-01-02"), "consent version 1 (en)"));
    assert_eq!(told[3], (3, Some("2026-01"), "VS / IG: 1 items"));
    assert_eq!(told[5], (5, None, "row 3 of LB"));
    assert_eq!(lines[5].exceptions[0].rule, "consent-in-force");
    history().each(|_| false, |r| assert_eq!(TimelineEntry::of(r), None));
    let ids = [2, 10, 100].map(|streamseq| TimelineEntry::doc_id(participant(), streamseq));
    assert!(ids.is_sorted());
}

#[test]
fn a_value_keeps_what_stood_there_before() {
    let mut views: Vec<DataView> = Vec::new();
    history().each(
        |_| true,
        |recorded| {
            let Some(place) = recorded.event.and_then(Place::of) else { return };
            if !views.iter().any(|view| view.place == place) {
                views.push(DataView::new(place.clone(), recorded));
            }
            views.iter_mut().find(|view| view.place == place).unwrap().apply(recorded);
        },
    );
    let value = serde_json::to_value(&views[0].values["IT.SYSBP"]).unwrap();
    let change = json!({"trialseq": 6, "time": "2026-01-01T00:00:06.000000Z", "actor": "a1",
        "actorRole": "investigator", "reason": "typing error"});
    assert_eq!(
        value,
        json!({"value": "130", "unit": "mmHg", "changed": change, "history": [{"value": "120", "unit": "mmHg"}]})
    );
    let imported = serde_json::to_value(&views[1]).unwrap();
    assert_eq!(imported["place"], json!({"file": {"import": import(), "dataset": "LB", "row": 3}}));
    assert_eq!(imported["values"], json!({"LBSEQ": {"value": 1}, "LBSTRESN": {"value": "38.0"}}));
    for view in views {
        assert_eq!(serde_json::from_value::<DataView>(serde_json::to_value(&view).unwrap()).unwrap(), view);
    }
}

fn protocol(version: &str, primary: &str, time_frame: &str) -> serde_json::Value {
    json!({"version": version, "documentSha256": "0".repeat(64), "sampleSize": 10, "changeSummary": "As said",
        "primaryOutcomes": [{"id": "P1", "measure": primary, "timeFrame": time_frame}],
        "secondaryOutcomes": [{"id": "S1", "measure": "Weight", "timeFrame": "24 weeks"}], "reconsent": "none"})
}

fn report(outcome: Option<&str>, measure: &str, time_frame: &str) -> serde_json::Value {
    let mut report =
        json!({"measure": measure, "value": "1", "timeFrame": time_frame, "analysisPopulation": "All"});
    if let Some(outcome) = outcome {
        report["outcome"] = json!(outcome);
    }
    report
}

#[test]
fn results_stand_beside_what_was_promised() {
    let p = StreamId::participant(participant());
    let outcomes = [report(Some("P1"), "ADAS-Cog", "12 weeks"), report(Some("X1"), "Sleep", "12 weeks")];
    let history = History::of(&[
        (trial(), "protocol.version-submitted", protocol("1", "ADAS-Cog", "24 weeks")),
        (p, "participant.enrolled", json!({"enrolledOn": "2026-01-03"})),
        (trial(), "protocol.version-submitted", protocol("2", "Mood", "24 weeks")),
        (trial(), "protocol.version-submitted", protocol("3", "ADAS-Cog", "12 weeks")),
        (p, "participant.enrolled", json!({"enrolledOn": "2026-01-04"})),
        (trial(), "results.submitted", json!({"outcomes": outcomes, "analysedOn": "2026-02"})),
    ]);
    let mut overview = Overview::default();
    history.each(|_| true, |recorded| overview.apply(recorded));
    let compared = serde_json::to_value(&overview.results[0].compared).unwrap();
    let primary = |finding: &str| json!({"outcome": "P1", "rank": "primary", "measure": "ADAS-Cog", "finding": finding});
    let missing = json!({"outcome": "S1", "rank": "secondary", "measure": "Weight", "finding": "missing"});
    let new = json!({"outcome": "X1", "measure": "Sleep", "finding": "new"});
    let mut changed = primary("changed");
    changed["changes"] = json!(["time-frame"]);
    assert_eq!(
        compared,
        json!([
            {"version": "1", "standing": ["first-submitted", "at-first-enrolment"],
                "outcomes": [changed, missing, new]},
            {"version": "3", "standing": ["newest"], "outcomes": [primary("reported"), missing, new]},
        ])
    );
}

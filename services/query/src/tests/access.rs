//! Who reads participant data is in the record before they have read it.

use std::time::Duration;

use actix_web::test::TestRequest;
use serde_json::{Value, json};
use trialseal_record::Role;
use trialseal_record::ids::{Scope, StreamId};
use trialseal_record::view::{ParticipantView, TimelineEntry};
use trialseal_store::{Election as _, Events as _};
use uuid::Uuid;

use crate::testing::{Ledger, as_role, participant, trial};

async fn ledger() -> Ledger {
    let ledger = Ledger::new().await;
    ledger.register("DEMO-1", "A trial").await;
    ledger.screen("DEMO-1", 1).await;
    ledger.screen("DEMO-1", 2).await;
    ledger
}

/// The events of a stream as headers and data, by somebody who may see them.
async fn recorded(ledger: &Ledger, stream: StreamId) -> Vec<(Value, Value)> {
    let all = ledger.get(Role::Monitor, "/v1/trials/DEMO-1/events").await.json();
    let of_stream = |event: &&Value| event["header"]["subject"] == stream.to_string();
    let events = all["events"].as_array().unwrap().iter().filter(of_stream);
    events.map(|event| (event["header"].clone(), event["data"].clone())).collect()
}

#[actix_web::test]
async fn one_reading_is_one_event_of_who_what_and_why() {
    let ledger = ledger().await;
    let page = as_role(Role::Investigator, "/v1/trials/DEMO-1/events?after=0&limit=1")
        .insert_header(("purpose-of-use", "source data verification"));
    assert_eq!(ledger.ask(page).await.status, 200);
    let own = recorded(&ledger, StreamId::access_to(participant(1))).await;
    assert_eq!(own.len(), 1);
    let (header, data) = &own[0];
    assert_eq!(
        (&header["type"], &header["actor"], &header["actorrole"], &header["organisation"]),
        (&json!("record.read"), &json!("person-investigator"), &json!("investigator"), &json!("Example Ltd"))
    );
    assert!(header["correlationid"].is_string());
    let expected = json!({"reading": "events", "extent": "participant", "events": {"first": 1, "last": 1},
        "purpose": "source data verification"});
    assert_eq!(data, &expected);
    assert!(recorded(&ledger, StreamId::access_to(participant(2))).await.is_empty());
    // The monitor's own looking, twice, at both participants at once.
    let of_trial = recorded(&ledger, StreamId::access_to_trial(&trial("DEMO-1"))).await;
    assert_eq!(of_trial.len(), 2);
    let both = json!([participant(1), participant(2)]);
    assert_eq!((&of_trial[0].1["extent"], &of_trial[0].1["participants"]), (&json!("listed"), &both));
}

#[actix_web::test]
async fn every_way_of_reading_is_recorded() {
    let ledger = ledger().await;
    let own = Scope::Participant(trial("DEMO-1"), participant(1));
    let view = ParticipantView { participant: Some(participant(1)), ..ParticipantView::default() };
    ledger.document(&own, &participant(1).to_string(), &view).await;
    let entry: TimelineEntry = serde_json::from_value(json!({
        "trialseq": 1, "streamseq": 0, "id": "0193a5c2-7d1e-7a40-9c11-5f2a6b7c8d9e", "type": "participant.screened",
        "recorded": "2026-01-01T00:00:00.000000Z", "actor": "person-1", "actorRole": "investigator",
        "summary": "screened"
    }))
    .unwrap();
    ledger.document(&own, &TimelineEntry::doc_id(participant(1), 0), &entry).await;
    ledger.seal().await;
    let id = participant(1);
    let ways = [
        ("events", "events?after=0&limit=1".to_owned()),
        ("receipt", "events/1/receipt".to_owned()),
        ("receipt", "events/1/receipt?fields=/subjectNumber".to_owned()),
        ("participants", "participants".to_owned()),
        ("timeline", format!("participants/{id}/timeline")),
    ];
    for (number, (reading, uri)) in ways.iter().enumerate() {
        let answer = ledger.get(Role::Sponsor, &format!("/v1/trials/DEMO-1/{uri}")).await;
        assert_eq!(answer.status, 200, "{uri}: {}", answer.text());
        let own = recorded(&ledger, StreamId::access_to(id)).await;
        assert_eq!(own.len(), number + 1, "{uri}");
        assert_eq!(
            (&own[number].1["reading"], &own[number].0["actor"]),
            (&json!(reading), &json!("person-sponsor"))
        );
    }
}

#[actix_web::test]
async fn participants_read_what_is_about_themselves_and_that_is_recorded() {
    let ledger = ledger().await;
    ledger.seal().await;
    let (own, other) = (participant(1), participant(2));
    let get = async |path: &str| ledger.get(Role::Participant, &format!("/v1/trials/DEMO-1/{path}")).await;

    // What is recorded of them (event 1) with its data; of somebody else (event 2), and of the trial, not even the header.
    let receipt = get("events/1/receipt").await;
    assert_eq!(receipt.status, 200, "{}", receipt.text());
    assert_eq!(get("events/1/receipt?fields=/subjectNumber").await.status, 200);
    let read = recorded(&ledger, StreamId::access_to(own)).await;
    let readers: Vec<_> = read.iter().map(|(header, _)| &header["actorrole"]).collect();
    assert_eq!(readers, [&json!("participant"), &json!("participant")]);
    for path in [
        "events",
        "stream",
        "events/0/receipt",
        "events/2/receipt",
        "events/2/receipt?fields=",
        "data",
        "participants",
    ] {
        assert_eq!(get(path).await.status, 403, "{path}");
    }

    // Others are as if they were not there.
    for end in ["timeline", "access-log", "signatures"] {
        assert_eq!(get(&format!("participants/{own}/{end}")).await.status, 200, "{end}");
        let [there, nowhere] = [other, participant(9)].map(|id| format!("participants/{id}/{end}"));
        let (there, nowhere) = (get(&there).await, get(&nowhere).await);
        assert_eq!((there.status, there.text()), (404, nowhere.text()), "{end}");
    }
    let [data, of_other] = [own, other].map(|id| format!("data?participant={id}"));
    assert_eq!((get(&data).await.status, get(&of_other).await.status), (200, 404));

    // Who was read together with them is not theirs to know. `recorded` has read both.
    let first = get(&format!("participants/{own}/access-log")).await.json();
    let next = first["next"].as_str().unwrap();
    let log = get(&format!("participants/{own}/access-log?after={next}")).await;
    assert!(!log.text().contains(&other.to_string()), "{}", log.text());
    let named = log.json()["accesses"]
        .as_array()
        .unwrap()
        .iter()
        .any(|read| read["data"]["participants"] == json!([own]));
    assert!(named, "{}", log.text());
    let page = format!("/v1/trials/DEMO-1/participants/{own}/access-log?after={next}");
    let of_all = ledger.get(Role::Monitor, &page).await;
    assert!(of_all.text().contains(&other.to_string()));
}

#[actix_web::test]
async fn what_is_no_participant_data_is_not_recorded() {
    let ledger = ledger().await;
    ledger.seal().await;
    let size = async || ledger.store.trial_size(&trial("DEMO-1")).await.unwrap();
    let paths = [
        (Role::Monitor, "events?limit=1"),
        (Role::Researcher, "events"),
        (Role::Admin, "events"),
        (Role::Monitor, "events/1/receipt?fields="),
        (Role::Researcher, "events/1/receipt"),
        (Role::Monitor, "overview"),
        (Role::Monitor, "participants"),
        (Role::Researcher, "participants"),
        (Role::Monitor, "events/7/receipt"),
        (Role::Monitor, "events?limit=none"),
    ];
    for (role, path) in paths {
        ledger.get(role, &format!("/v1/trials/DEMO-1/{path}")).await;
        assert_eq!(size().await, Some(3), "{role} {path}");
    }
    // Whoever polls sees that others read, and adds nothing by that.
    ledger.get(Role::Monitor, "/v1/trials/DEMO-1/events").await;
    assert_eq!(size().await, Some(4));
    for _ in 0..3 {
        ledger.get(Role::Monitor, "/v1/trials/DEMO-1/events?after=2").await;
        assert_eq!(size().await, Some(4));
    }
}

#[actix_web::test]
async fn a_purpose_has_a_form() {
    let ledger = ledger().await;
    let long = "a".repeat(201);
    for bad in ["", long.as_str()] {
        let request =
            as_role(Role::Monitor, "/v1/trials/DEMO-1/events").insert_header(("purpose-of-use", bad));
        assert_eq!(ledger.ask(request).await.problem(), (400, "malformed".into()), "{bad:?}");
    }
    let request: TestRequest = as_role(Role::Monitor, "/v1/trials/DEMO-1/events");
    assert_eq!(ledger.ask(request.insert_header(("purpose-of-use", "Prüfung"))).await.status, 200);
}

#[actix_web::test]
async fn a_participant_s_list_names_every_reader_page_by_page() {
    let ledger = ledger().await;
    let all = |role| as_role(role, "/v1/trials/DEMO-1/events");
    let one =
        |role, number: u8| as_role(role, &format!("/v1/trials/DEMO-1/events?after={}&limit=1", number - 1));
    for request in [
        one(Role::Sponsor, 1),
        one(Role::Investigator, 2),
        all(Role::Monitor),
        one(Role::Irb, 1),
        all(Role::Sponsor),
        one(Role::Monitor, 2),
    ] {
        assert_eq!(ledger.ask(request).await.status, 200);
    }
    for limit in [1, 2, 100] {
        let (mut readers, mut after) = (Vec::new(), String::new());
        loop {
            let uri =
                format!("/v1/trials/DEMO-1/participants/{}/access-log?limit={limit}{after}", participant(1));
            let page = ledger.get(Role::Investigator, &uri).await.json();
            let accesses = page["accesses"].as_array().unwrap();
            readers
                .extend(accesses.iter().map(|access| access["header"]["actor"].as_str().unwrap().to_owned()));
            let Some(next) = page.get("next") else { break };
            after = format!("&after={}", next.as_str().unwrap());
        }
        assert_eq!(readers, ["person-sponsor", "person-monitor", "person-irb", "person-sponsor"], "{limit}");
    }
    let uri = format!("/v1/trials/DEMO-1/participants/{}/access-log", participant(1));
    assert_eq!(ledger.get(Role::Researcher, &uri).await.status, 403);
    assert_eq!(ledger.get(Role::Monitor, &format!("{uri}?after=7")).await.status, 400);
    let nobody = format!("/v1/trials/DEMO-1/participants/{}/access-log", participant(9));
    assert_eq!(ledger.get(Role::Monitor, &nobody).await.status, 404);
}

#[actix_web::test]
async fn what_cannot_be_recorded_cannot_be_read() {
    let ledger = ledger().await;
    // Another process is elected.
    ledger.store.stand(Uuid::from_u128(7), Duration::from_mins(1)).await.unwrap();
    let answer = ledger.get(Role::Monitor, "/v1/trials/DEMO-1/events").await;
    assert_eq!(answer.status, 503);
    assert!(!answer.text().contains("01-001"));
    assert_eq!(ledger.get(Role::Researcher, "/v1/trials/DEMO-1/events").await.status, 200);
}

/// Who is blinded sees that there is an event, and who is not is in the record before they have seen the arm.
#[actix_web::test]
async fn what_a_participant_is_given_is_read_by_those_who_are_unblinded() {
    let ledger = ledger().await;
    let (own, blinded) = (StreamId::participant(participant(1)), StreamId::blinded_of(participant(1)));
    ledger.record("DEMO-1", blinded, "participant.allocated", json!({"armCode": "CANARYARM"})).await;
    let address = format!("/v1/trials/DEMO-1/participants/{}/allocation", participant(1));
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Unblinded) {
        assert_eq!(ledger.get(role, &address).await.problem().0, 403, "{role}");
        let events = ledger.get(role, "/v1/trials/DEMO-1/events").await;
        assert!(!events.text().contains("CANARYARM"), "{role}");
    }
    let readings = |all: Vec<(Value, Value)>| {
        let of_arm = all.into_iter().filter(|(_, data)| data["reading"] == "allocation");
        of_arm.map(|(header, _)| header["actor"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let access = StreamId::access_to(participant(1));
    assert!(readings(recorded(&ledger, access).await).is_empty());
    let known = ledger.get(Role::Unblinded, &address).await.json();
    assert_eq!(known["allocation"]["armCode"], "CANARYARM");
    assert_eq!(readings(recorded(&ledger, access).await), ["person-unblinded"]);

    // An emergency: from then on the one who recorded it, and nobody else.
    let unblinded = json!({"reason": "Unconscious in the emergency room"});
    ledger.record("DEMO-1", own, "participant.unblinded", unblinded).await;
    let header = recorded(&ledger, own).await.pop().unwrap().0;
    assert_eq!(header["type"], "participant.unblinded");
    let actor = header["actor"].as_str().unwrap().to_owned();
    for role in [Role::Investigator, Role::Sponsor, Role::Monitor] {
        let expected = if actor == format!("person-{role}") { 200 } else { 403 };
        assert_eq!(ledger.get(role, &address).await.status, expected, "{role} {actor}");
    }
    assert_eq!(ledger.get(Role::Unblinded, "/v1/trials/DEMO-1/participants/x/allocation").await.status, 404);
    ledger.destroy_key_of("DEMO-1", 1).await;
    assert!(
        ledger.get(Role::Unblinded, &address).await.text().contains("CANARYARM"),
        "under a key of its own"
    );
}

/// Somebody treats a participant of a trial that their grant does not reach.
#[actix_web::test]
async fn an_emergency_opens_one_record_to_one_person_for_some_hours() {
    let ledger = Ledger::new().await;
    ledger.register("OTHER-1", "Another trial").await;
    ledger.screen("OTHER-1", 1).await;
    ledger.screen("OTHER-1", 2).await;
    let of = |number: u128| format!("/v1/trials/OTHER-1/participants/{}/timeline", participant(number));
    let values = format!("/v1/trials/OTHER-1/data?participant={}", participant(1));
    assert_eq!(ledger.get(Role::Investigator, &of(1)).await.status, 404);

    let opened = json!({"participant": participant(1), "hours": 2, "reason": "Unconscious"});
    let stream = StreamId::emergency(Uuid::from_u128(7));
    ledger.record("OTHER-1", stream, "emergency-access.opened", opened).await;
    let listed = ledger.get(Role::Monitor, "/v1/trials/OTHER-1/emergency-access").await.json();
    let opening = &listed["openings"][0];
    assert_eq!((&opening["data"]["reason"], listed.get("next")), (&json!("Unconscious"), None));
    let opener = opening["header"]["actor"].as_str().unwrap().to_owned();
    for role in [Role::Investigator, Role::SiteStaff, Role::Sponsor, Role::Researcher] {
        let is_theirs = opener == format!("person-{role}");
        let expected = if is_theirs { 200 } else { 404 };
        for address in [&of(1), &values] {
            assert_eq!(ledger.get(role, address).await.status, expected, "{role} {address}");
        }
        // Nobody else's, and nothing else of the trial.
        let others = [of(2), "/v1/trials/OTHER-1/data".into(), "/v1/trials/OTHER-1/events".into()];
        for address in others {
            assert_eq!(ledger.get(role, &address).await.status, 404, "{role} {address}");
        }
    }
    ledger.clock.advance(2 * 3_600_000_000);
    assert_eq!(ledger.get(Role::Investigator, &of(1)).await.status, 404, "the hours are over");
}

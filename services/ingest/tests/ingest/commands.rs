//! Commands over HTTP, from the first of a trial on.

use std::time::Duration;

use actix_web::http::Method;
use futures_util::future::join_all;
use serde_json::json;
use trialseal_record::Event;
use trialseal_store::{Election, Events};
use uuid::Uuid;

use crate::support::*;
use trialseal_record::Role::{Admin, Auditor, Inspector, Investigator, Irb, Monitor, Researcher, Sponsor};

const PARTICIPANTS: &str = "/v1/trials/DEMO-1/participants";

#[actix_web::test]
async fn a_trial_goes_its_way_and_a_withdrawal_ends_the_data() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = world.consenting(&site, "01-001").await;
    let at = |rest: &str| format!("{path}/{rest}");
    for (rest, body) in [
        ("enrolment", json!({"enrolledOn": "2026-03-02"})),
        ("visits", visit("V1")),
        ("data", data("V1", "38.0")),
        ("data/corrections", correction("38.0", "138.0")),
        ("adverse-events", adverse_event()),
        ("consent-withdrawals", withdrawal()),
    ] {
        let answer = world.post(Investigator, &at(rest), rest, body).await.recorded();
        assert_eq!(answer["level"], "recorded");
        assert_eq!(format!("{PARTICIPANTS}/{}", answer["participant"].as_str().unwrap()), path);
    }
    let refused = world.post(Investigator, &at("data"), "late", data("V2", "120")).await;
    assert_eq!(
        (refused.status, refused.problem(), refused.rule()),
        (409, "rule-refused", "consent.in-force")
    );
    // However often it is tried, it was refused once.
    world.post(Investigator, &at("data"), "late", data("V2", "120")).await;
    let ended = json!({"status": "discontinued", "on": "2026-04-01"});
    world.post(Investigator, &at("disposition"), "end", ended).await.recorded();
    let outcome =
        json!({"measure": "Pain", "value": "3.5", "timeFrame": "12 weeks", "analysisPopulation": "ITT"});
    let results = json!({"outcomes": [outcome], "analysedOn": "2026-06"});
    world.post(Sponsor, "/v1/trials/DEMO-1/results", "r", results).await.recorded();

    let events = world.events().await;
    let kinds: Vec<_> = events.iter().map(|(_, event)| event.kind()).collect();
    let expected = [
        "trial.registered",
        "protocol.version-submitted",
        "consent.version-published",
        "irb.decision-recorded",
        "site.activated",
        "participant.screened",
        "consent.signed",
        "participant.enrolled",
        "visit.occurred",
        "data.recorded",
        "data.corrected",
        "adverse-event.reported",
        "consent.withdrawn",
        "command.refused",
        "participant.discontinued",
        "results.submitted",
    ];
    assert_eq!(kinds, expected);
    for (place, (row, _)) in events.iter().enumerate() {
        let header = row.checked_header().unwrap();
        assert_eq!((row.trialseq, header.time.micros()), (place as u64, NOW_MICROS));
        assert!(header.extra.contains_key("organisation") && header.extra.contains_key("sourcesystem"));
        assert!(header.correlationid.is_some());
        let text = String::from_utf8(row.header.clone()).unwrap();
        assert!(!text.contains("01-001") && !text.contains("Headache"), "{text}");
        assert!(!row.body.windows(6).any(|bytes| bytes == b"01-001"));
    }
    let Event::DataRecorded(recorded) = &events[9].1 else { panic!() };
    assert_eq!(recorded.record.items[0].value, "38.0");
    let (row, Event::CommandRefused(refused)) = &events[13] else { panic!() };
    assert_eq!((refused.command.as_str(), refused.rule.as_str()), ("record-data", "consent.in-force"));
    assert_eq!(row.stream.to_string(), path.replace(PARTICIPANTS, "access"));
}

#[actix_web::test]
async fn a_command_sent_again_gets_its_old_answer_though_the_state_moved_on() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = world.consenting(&site, "01-001").await;
    let at = |rest: &str| format!("{path}/{rest}");
    let first = world.post(Investigator, &at("data"), "d1", data("V1", "120")).await;
    world.post(Investigator, &at("consent-withdrawals"), "w", withdrawal()).await.recorded();
    let count = world.events().await.len();

    let again = world.post(Investigator, &at("data"), "d1", data("V1", "120")).await;
    assert!(again.replayed && !first.replayed);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    // Other spaces and another order are the same content.
    let spaced = r#"{ "records": [{"items": [{"unit": "mmHg", "value": "120", "itemOid": "SYSBP"}],
        "visit": "V1", "form": "VS", "itemGroup": "BP", "collectedOn": "2026-03-02"}] }"#;
    assert!(world.post_text(Investigator, &at("data"), "d1", spaced).await.replayed);
    // A process that has nothing in its memory answers the same.
    assert_eq!(
        world.beside().post(Investigator, &at("data"), "d1", data("V1", "120")).await.body,
        first.body
    );

    let other = world.post(Investigator, &at("data"), "d1", data("V1", "121")).await;
    assert_eq!((other.status, other.problem()), (409, "conflict"));
    let elsewhere = world.post(Investigator, &at("visits"), "d1", visit("V1")).await;
    assert_eq!((elsewhere.status, elsewhere.problem()), (409, "conflict"));
    let import = world.post_text(Investigator, "/v1/trials/DEMO-1/imports", "d1", "{}").await;
    assert_eq!((import.status, import.problem()), (409, "conflict"));
    assert_eq!(world.events().await.len(), count);

    let registered = world.post(Sponsor, "/v1/trials", "t", trial("DEMO-1")).await;
    assert!(registered.replayed && registered.status == 201);
    let anew = world.post(Sponsor, "/v1/trials", "t2", trial("DEMO-1")).await;
    assert_eq!((anew.status, anew.rule()), (409, "trial.id-unused"));
}

#[actix_web::test]
async fn a_registration_needs_no_key_and_everything_else_does() {
    let world = World::new().await;
    let send = async |path: &'static str, body: serde_json::Value| {
        let (who, content_type) = (Some(principal(Sponsor)), "application/json; charset=utf-8");
        let body = body.to_string().into_bytes();
        world
            .send(Request { method: Method::POST, path, who, key: None, content_type, signature: None, body })
            .await
    };
    let first = send("/v1/trials", trial("DEMO-1")).await;
    assert_eq!(first.status, 201, "{first:?}");
    let again = send("/v1/trials", trial("DEMO-1")).await;
    assert!(again.replayed);
    assert_eq!(again.body, first.body);
    let mut other = trial("DEMO-1");
    other["title"] = "Another".into();
    assert_eq!(send("/v1/trials", other).await.problem(), "conflict");
    for path in ["/v1/trials/DEMO-1/protocol-versions", "/v1/trials/DEMO-1/imports"] {
        let missing = send(path, protocol("1.0")).await;
        assert_eq!((missing.status, missing.problem()), (400, "idempotency-key-missing"));
    }
    let odd = world.post(Sponsor, "/v1/trials/DEMO-1/protocol-versions", "a b", protocol("1.0")).await;
    assert_eq!((odd.status, odd.problem()), (400, "malformed"));
}

#[actix_web::test]
async fn who_may_not_is_told_so_and_who_cannot_see_is_told_nothing() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = world.consenting(&site, "01-001").await;
    let nobody = Request {
        method: Method::POST,
        path: &path,
        who: None,
        key: Some("k"),
        content_type: "application/json",
        signature: None,
        body: b"{}".to_vec(),
    };
    let visits = format!("{path}/visits");
    assert_eq!(world.send(Request { path: &visits, ..nobody }).await.problem(), "unauthenticated");
    for role in [Monitor, Inspector, Auditor, Researcher, Admin] {
        let answer = world.post(role, &visits, "k", visit("V1")).await;
        assert_eq!((answer.status, answer.problem()), (403, "forbidden"), "{role}");
    }
    for role in [Sponsor, Irb] {
        let answer = world.post(role, &visits, "k", visit("V1")).await;
        assert_eq!(
            (answer.status, answer.problem(), answer.rule()),
            (403, "rule-forbidden", "authority.role")
        );
    }
    let corrections = format!("{path}/data/corrections");
    let sponsor = world.post(Sponsor, &corrections, "k", correction("1", "2")).await;
    assert_eq!((sponsor.status, sponsor.rule()), (403, "correction.investigator-data"));

    let mut foreign = principal(Investigator);
    foreign.trials = Some(vec!["OTHER".parse().unwrap()]);
    let body = visit("V1").to_string().into_bytes();
    let (who, key, content_type) = (Some(foreign), Some("k"), "application/json");
    let hidden = world
        .send(Request { method: Method::POST, path: &visits, who, key, content_type, signature: None, body })
        .await;
    let unknown = visits.replace("DEMO-1", "NO-SUCH");
    let unknown = world.post(Investigator, &unknown, "k", visit("V1")).await;
    let ledger = visits.replace("DEMO-1", "_ledger");
    let ledger = world.post(Investigator, &ledger, "k", visit("V1")).await;
    assert_eq!((hidden.status, hidden.problem()), (404, "not-found"));
    assert_eq!((&hidden.body, &ledger.body), (&unknown.body, &unknown.body));
    let odd = world.post(Investigator, "/v1/trials/DEMO-1/participants/x/visits", "k", visit("V1")).await;
    assert_eq!(odd.status, 404);
}

#[actix_web::test]
async fn bodies_that_cannot_be_recorded_are_refused_with_what_to_do() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = format!("{}/data", world.consenting(&site, "01-001").await);
    let item = |members: &str| {
        format!(
            r#"{{"records": [{{"form": "VS", "itemGroup": "BP", "items": [{{"itemOid": "S", {members}}}]}}]}}"#
        )
    };
    let large = item(&format!(r#""value": "{}""#, "x".repeat(70_000)));
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let cases = [
        (r#"{"records": "#.to_owned(), 400, "malformed", "JSON"),
        (r#"{"records": [], "records": []}"#.to_owned(), 400, "malformed", "twice"),
        (deep, 400, "malformed", "deep"),
        (item(r#""value": "\ud800""#), 400, "malformed", "JSON"),
        (item(r#""value": 38.0"#), 422, "invalid", "integer"),
        (item(r#""value": 38"#), 422, "invalid", "string"),
        (item(r#""value": "38", "units": "mmHg""#), 422, "invalid", "expected"),
        (item(r#""value": "38", "unit": " mmHg""#), 422, "invalid", "without blanks"),
        (r"{}".to_owned(), 422, "invalid", "records"),
        (r#"{"records": []}"#.to_owned(), 422, "invalid", "records"),
        (large, 413, "payload-too-large", "65536"),
    ];
    for (body, status, problem, says) in cases {
        let answer = world.post_text(Investigator, &path, "k", body).await;
        assert_eq!((answer.status, answer.problem()), (status, problem), "{answer:?}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail}");
        assert!(!answer.body["hint"].as_str().unwrap().is_empty());
    }
    let who = Some(principal(Investigator));
    let (key, content_type, body) = (Some("k"), "text/plain", b"{}".to_vec());
    let plain = world
        .send(Request { method: Method::POST, path: &path, who, key, content_type, signature: None, body })
        .await;
    assert_eq!(plain.problem(), "unsupported-media-type");
    let odd = world.post(Investigator, &format!("{path}?wait=later"), "k", data("V1", "1")).await;
    assert_eq!((odd.status, odd.problem()), (400, "malformed"));
    // None of these used the key up.
    world.post(Investigator, &path, "k", data("V1", "1")).await.recorded();
}

#[actix_web::test]
async fn rules_refuse_by_name() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = world.consenting(&site, "01-001").await;
    let at = |rest: &str| format!("{path}/{rest}");
    world.post(Investigator, &at("data"), "d", data("V1", "120")).await.recorded();
    let mut unreasoned = correction("120", "121");
    unreasoned.as_object_mut().unwrap().remove("reason");
    let unknown = format!("{PARTICIPANTS}/0193a5c2-7d1e-7a40-9c11-5f2a6b7c8d9e/visits");
    let cases = [
        (PARTICIPANTS.to_owned(), screening(&site, "01-001"), 409, "participant.subject-number-unique"),
        (at("data"), data("V1", "121"), 409, "data.item-unrecorded"),
        (at("data/corrections"), unreasoned, 422, "correction.reason-required"),
        (at("data/corrections"), correction("119", "121"), 409, "correction.old-value"),
        (unknown, visit("V1"), 409, "participant.known"),
    ];
    for (place, (path, body, status, rule)) in cases.into_iter().enumerate() {
        let answer = world.post(Investigator, &path, &format!("k{place}"), body).await;
        assert_eq!((answer.status, answer.rule()), (status, rule), "{answer:?}");
    }
    let taken = world.post(Sponsor, "/v1/trials/DEMO-1/sites", "s2", crate::support::site("01")).await;
    assert_eq!((taken.status, taken.rule()), (409, "site.number-unique"));
}

#[actix_web::test]
async fn many_clients_on_one_participant_lose_nothing_and_double_nothing() {
    const CLIENTS: usize = 24;
    let world = World::new().await;
    let site = world.trial().await;
    let path = format!("{}/data", world.consenting(&site, "01-001").await);
    let before = world.events().await.len();
    // Two processes, so that their locks do not keep them apart; and each command is sent to both.
    let other = world.beside();
    let sends = (0..CLIENTS).flat_map(|client| {
        let (path, name) = (path.clone(), format!("V{client}"));
        [&world, &other].map(move |process| {
            let (path, name) = (path.clone(), name.clone());
            async move { process.post(Investigator, &path, &name, data(&name, "120")).await }
        })
    });
    let answers = join_all(sends).await;
    for pair in answers.chunks(2) {
        assert_eq!((pair[0].status, pair[1].status), (201, 201), "{pair:?}");
        assert_eq!(pair[0].body, pair[1].body);
        assert_ne!(pair[0].replayed, pair[1].replayed);
    }
    let events = world.events().await;
    assert_eq!(events.len(), before + CLIENTS);
    let mut visits: Vec<_> = events[before..]
        .iter()
        .map(|(_, event)| match event {
            Event::DataRecorded(recorded) => recorded.record.visit.clone().unwrap().to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    visits.sort();
    visits.dedup();
    assert_eq!(visits.len(), CLIENTS);
}

#[actix_web::test]
async fn one_of_two_contradicting_commands_is_refused() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = world.consenting(&site, "01-001").await;
    let other = world.beside();
    let (visits, withdrawals) = (format!("{path}/data"), format!("{path}/consent-withdrawals"));
    for round in 0..8 {
        let visit = format!("V{round}");
        let key = format!("k{round}");
        let (data, withdrawn) = futures_util::future::join(
            world.post(Investigator, &visits, &key, data(&visit, "120")),
            other.post(Investigator, &withdrawals, &format!("w{round}"), withdrawal()),
        )
        .await;
        withdrawn.recorded();
        assert!(data.status == 201 || data.rule() == "consent.in-force", "{data:?}");
        world
            .post(Investigator, &format!("{path}/consents"), &format!("c{round}"), consent())
            .await
            .recorded();
    }
    // Whatever the order: no data event follows a withdrawal without a consent between them.
    let mut in_force = false;
    for (_, event) in world.events().await {
        match event {
            Event::ConsentSigned(_) => in_force = true,
            Event::ConsentWithdrawn(_) => in_force = false,
            Event::DataRecorded(_) => assert!(in_force),
            _ => {}
        }
    }
}

#[actix_web::test]
async fn who_waits_for_the_seal_is_told_how_far_it_came() {
    let world = World::new().await;
    let late = world.post(Sponsor, "/v1/trials?wait=sealed", "t", trial("DEMO-1")).await.recorded();
    assert_eq!(late["level"], "recorded");
    world.progress.set_sealed(1);
    let sealed = world.post(Sponsor, "/v1/trials?wait=sealed", "t", trial("DEMO-1")).await;
    assert!(sealed.replayed);
    assert_eq!(sealed.body["level"], "sealed");
    let waiting = world.post(Sponsor, "/v1/trials?wait=witnessed", "t", trial("DEMO-1")).await.recorded();
    assert_eq!(waiting["level"], "sealed");
    world.progress.set_published(1);
    let witnessed = world.post(Sponsor, "/v1/trials?wait=witnessed", "t", trial("DEMO-1")).await;
    assert_eq!(witnessed.body["level"], "witnessed");
}

#[actix_web::test]
async fn a_process_that_was_deposed_says_to_send_the_command_again() {
    let world = World::new().await;
    let other = Uuid::from_u128(7);
    world.store.stand(other, Duration::from_mins(1)).await.unwrap();
    let refused = world.post(Sponsor, "/v1/trials", "t", trial("DEMO-1")).await;
    assert_eq!((refused.status, refused.problem()), (503, "unavailable"));
    assert_eq!(refused.body["retry_after_seconds"], 1);
    assert_eq!(world.store.head().await.unwrap().position, 0);
    // Somewhere it is taken, and the key makes sure that it is taken once.
    world.store.resign(other).await.unwrap();
    world.post(Sponsor, "/v1/trials", "t", trial("DEMO-1")).await.recorded();
    assert!(world.post(Sponsor, "/v1/trials", "t", trial("DEMO-1")).await.replayed);
}

#[actix_web::test]
async fn the_api_description_names_every_route_and_every_shape() {
    use utoipa_actix_web::AppExt as _;
    let (_, api) =
        actix_web::App::new().into_utoipa_app().configure(trialseal_ingest::routes).split_for_parts();
    let api = serde_json::to_value(&api).unwrap();
    let paths = api["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 34);
    for (path, operations) in paths {
        for operation in operations.as_object().unwrap().values() {
            assert!(operation["summary"].is_string() && operation["description"].is_string(), "{path}");
            assert_eq!(operation["security"][0], json!({"bearer": []}), "{path}");
            for part in path.split('/').filter_map(|part| part.strip_prefix('{')) {
                let name = part.trim_end_matches('}');
                let named = operation["parameters"].as_array().unwrap().iter().any(|p| p["name"] == name);
                assert!(named, "{path} does not describe {name}");
            }
        }
    }
    let schemas = api["components"]["schemas"].as_object().unwrap();
    for name in ["Recorded", "RecordedEvent", "Problem", "SignConsent", "ImportStatus", "Sharing"] {
        assert!(schemas.contains_key(name), "{name} is not described: {:?}", schemas.keys());
    }
    // Whatever is referred to is there.
    let text = api.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is referred to and not described");
    }
}

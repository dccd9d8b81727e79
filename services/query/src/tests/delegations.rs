//! Who was allowed what at a site, and on which day.

use serde_json::{Value, json};
use trialseal_record::Role;
use trialseal_record::ids::{Scope, StreamId};
use uuid::Uuid;

use crate::testing::{Ledger, trial};

const DAY_MICROS: i64 = 86_400_000_000;
const URI: &str = "/v1/trials/DEMO-1/delegations";

async fn grant(ledger: &Ledger, name: &str, from: &str, until: Option<&str>) {
    let mut data = json!({
        "delegation": name, "delegate": "person-31", "site": Uuid::from_u128(5), "tasks": ["consent", "visits"],
        "from": from,
    });
    if let Some(until) = until {
        data["until"] = until.into();
    }
    ledger.record("DEMO-1", StreamId::trial(&trial("DEMO-1")), "delegation.granted", data).await;
}

/// It is 2026-01-03, and two delegations were granted on 2026-01-01; one of them was ended on 2026-01-02.
async fn ledger() -> Ledger {
    let ledger = Ledger::new().await;
    ledger.register("DEMO-1", "A trial").await;
    ledger.screen("DEMO-1", 1).await;
    grant(&ledger, "DL-1", "2025-12-01", None).await;
    grant(&ledger, "DL-2", "2026-01-02", Some("2026-01-05")).await;
    ledger.clock.advance(DAY_MICROS);
    let end = json!({"delegation": "DL-1", "reason": "Left the hospital"});
    ledger.record("DEMO-1", StreamId::trial(&trial("DEMO-1")), "delegation.ended", end).await;
    ledger.clock.advance(DAY_MICROS);
    ledger
}

#[actix_web::test]
async fn delegations_are_listed_with_who_granted_and_who_ended_them() {
    let ledger = ledger().await;
    let listed = ledger.get(Role::Auditor, URI).await.json();
    assert_eq!(listed["on"], "2026-01-03");
    let [first, second] = &listed["delegations"].as_array().unwrap()[..] else { panic!("{listed}") };
    let time = first["granted"]["time"].as_str().unwrap();
    assert!(time.starts_with("2026-01-01T00:00:00.0"), "{time}");
    let expected = json!({
        "delegation": "DL-1", "delegate": "person-31", "site": Uuid::from_u128(5),
        "tasks": ["consent", "visits"], "from": "2025-12-01", "inForce": false,
        "granted": {"trialseq": 2, "time": time, "actor": "person-1"},
        "ended": {
            "trialseq": 4, "time": first["ended"]["time"], "actor": "person-1", "reason": "Left the hospital",
        },
    });
    assert_eq!(first, &expected);
    assert_eq!((&second["until"], &second["inForce"]), (&json!("2026-01-05"), &json!(true)));
    assert_eq!((&second["granted"]["trialseq"], &second["ended"]), (&json!(3), &Value::Null));
}

#[actix_web::test]
async fn what_was_in_force_on_a_day_follows_from_when_it_was_recorded_and_not_only_from_its_dates() {
    let ledger = ledger().await;
    for (day, first, second) in [
        // Its first day is earlier than that, and nobody could act by it then.
        ("2025-12-31", false, false),
        ("2026-01-01", true, false),
        ("2026-01-02", false, true),
        ("2026-01-05", false, true),
        ("2026-01-06", false, false),
    ] {
        let listed = ledger.get(Role::Investigator, &format!("{URI}?on={day}")).await.json();
        let in_force: Vec<_> =
            listed["delegations"].as_array().unwrap().iter().map(|it| it["inForce"].clone()).collect();
        assert_eq!((&listed["on"], in_force), (&json!(day), vec![json!(first), json!(second)]));
    }
    for odd in ["on=2026-1-1", "on=2026", "at=2026-01-01"] {
        assert_eq!(ledger.get(Role::Investigator, &format!("{URI}?{odd}")).await.problem().0, 400, "{odd}");
    }
}

#[actix_web::test]
async fn a_list_of_delegations_is_no_reading_and_not_for_researchers() {
    let ledger = ledger().await;
    let size = async || {
        ledger.get(Role::Admin, "/v1/trials/DEMO-1/events").await.json()["events"].as_array().unwrap().len()
    };
    let before = size().await;
    for role in Role::ALL {
        let status = ledger.get(role, URI).await.status;
        let expected =
            if matches!(role, Role::Researcher | Role::Participant | Role::System) { 403 } else { 200 };
        assert_eq!(status, expected, "{role}");
    }
    assert_eq!(size().await, before);
    assert!(
        ledger.vault.destroy(&Scope::of(&trial("DEMO-1"), StreamId::trial(&trial("DEMO-1")))).await.unwrap()
    );
    assert_eq!(ledger.get(Role::Auditor, URI).await.problem(), (500, "damaged".into()));
}

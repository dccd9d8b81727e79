//! Site staff act by delegations that are in force when they act.

use serde_json::{Value, json};
use trialseal_record::Role::{Admin, Investigator, Irb, Monitor, SiteStaff, Sponsor};

use crate::support::*;

const GRANTS: &str = "/v1/trials/DEMO-1/delegations";
const ENDS: &str = "/v1/trials/DEMO-1/delegation-ends";
const DAY_MICROS: i64 = 86_400_000_000;

/// By the clock of these tests it is 2026-06-15.
fn delegation(site: &str, name: &str, until: Option<&str>) -> Value {
    json!({
        "delegation": name, "delegate": "person-site-staff", "site": site, "tasks": ["visits", "data-entry"],
        "from": "2026-03-01", "until": until,
    })
}

#[actix_web::test]
async fn a_delegation_that_ended_yesterday_is_none_and_dating_back_does_not_help() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = world.consenting(&site, "01-001").await;
    let at = |rest: &str| format!("{path}/{rest}");
    let refused = async |world: &World, key: &str, rest: &str, body: Value| {
        let answer = world.post(SiteStaff, &at(rest), key, body).await;
        let found = (answer.status, answer.problem(), answer.rule());
        assert_eq!(found, (403, "rule-forbidden", "delegation.in-force"), "{key}");
        assert!(answer.body["hint"].as_str().unwrap().contains("investigator"));
    };
    refused(&world, "v1", "visits", visit("V1")).await;
    let until_today = delegation(&site, "DL-1", Some("2026-06-15"));
    world.post(Investigator, GRANTS, "g1", until_today).await.recorded();
    let first = world.post(SiteStaff, &at("visits"), "v1", visit("V1")).await.recorded();
    world.post(SiteStaff, &at("data"), "d1", data("V1", "120")).await.recorded();
    refused(&world, "a1", "adverse-events", adverse_event()).await;
    let recorded = world.events().await.pop().unwrap().0.checked_header().unwrap();
    let by = (recorded.kind.as_str(), recorded.actor.as_str(), recorded.actorrole.as_str());
    assert_eq!(by, ("data.recorded", "person-site-staff", "site-staff"));

    // The visit and the data are said to be of March, when there was a delegation.
    let later = world.beside();
    for world in [&world, &later] {
        world.clock.advance(DAY_MICROS);
        refused(world, "v2", "visits", visit("V2")).await;
        refused(world, "d2", "data", data("V2", "121")).await;
    }
    // What was done in time stays done, and a new one does not reach back: it was refused all the same.
    let again = world.post(SiteStaff, &at("visits"), "v1", visit("V1")).await;
    assert!(again.replayed && again.body == first);
    world.post(Investigator, GRANTS, "g2", delegation(&site, "DL-2", None)).await.recorded();
    world.post(SiteStaff, &at("visits"), "v2", visit("V2")).await.recorded();
}

#[actix_web::test]
async fn a_delegation_ends_at_once_in_every_process() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = world.consenting(&site, "01-001").await;
    let visits = format!("{path}/visits");
    world.post(Investigator, GRANTS, "g1", delegation(&site, "DL-1", None)).await.recorded();
    let other = world.beside();
    other.post(SiteStaff, &visits, "v1", visit("V1")).await.recorded();
    let end = json!({"delegation": "DL-1", "reason": "Left the hospital"});
    for role in [Sponsor, Irb, SiteStaff] {
        assert_eq!(world.post(role, ENDS, "e", end.clone()).await.rule(), "authority.role", "{role}");
    }
    world.post(Investigator, ENDS, "e", end).await.recorded();
    // It has the state of before at hand, and the append finds that there is a newer one.
    for world in [&other, &world] {
        let answer = world.post(SiteStaff, &visits, "v2", visit("V2")).await;
        assert_eq!((answer.status, answer.rule()), (403, "delegation.in-force"));
    }
}

#[actix_web::test]
async fn the_investigator_alone_delegates_and_to_others() {
    let world = World::new().await;
    let site = world.trial().await;
    for role in [Monitor, Admin] {
        let answer = world.post(role, GRANTS, "g", delegation(&site, "DL-1", None)).await;
        assert_eq!((answer.status, answer.problem()), (403, "forbidden"), "{role}");
    }
    for role in [Sponsor, Irb, SiteStaff] {
        let answer = world.post(role, GRANTS, "g", delegation(&site, "DL-1", None)).await;
        assert_eq!((answer.status, answer.rule()), (403, "authority.role"), "{role}");
    }
    let changed = |member: &str, value: Value| {
        let mut body = delegation(&site, "DL-1", None);
        body[member] = value;
        body
    };
    let unknown = "0193a5c2-7d1e-4a40-9c11-5f2a6b7c8d9e";
    for (body, status, rule) in [
        (changed("delegate", json!("person-investigator")), 403, "delegation.to-another"),
        (changed("tasks", json!([])), 422, "delegation.tasks"),
        (changed("until", json!("2026-02-28")), 422, "time.order"),
        (changed("site", json!(unknown)), 409, "site.activated"),
    ] {
        let answer = world.post(Investigator, GRANTS, "g", body).await;
        assert_eq!((answer.status, answer.rule()), (status, rule), "{answer:?}");
    }
    let no_task = world.post(Investigator, GRANTS, "g", changed("tasks", json!(["erasure"]))).await;
    assert_eq!((no_task.status, no_task.problem()), (422, "invalid"));
    world.post(Investigator, GRANTS, "g", delegation(&site, "DL-1", None)).await.recorded();
}

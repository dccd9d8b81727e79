//! Idempotency keys, and what else a request for an export has in its head.

use super::*;
use crate::Shown;
use crate::begin::MAX_RUNNING;
use crate::status::KIND;
use crate::testing::order;

async fn ask_under(ledger: &Ledger, role: Role, key: &str, body: &str) -> Answer {
    ledger.ask(request_for(role, body).insert_header(("idempotency-key", key))).await
}

#[actix_web::test]
async fn the_same_key_and_content_give_the_same_export() {
    let ledger = ledger().await;
    let first = ask_under(&ledger, Role::Monitor, "k-1", "").await;
    assert_eq!(first.status, 202);
    assert!(first.headers.get("idempotent-replayed").is_none());
    let id: Uuid = first.json()["id"].as_str().unwrap().parse().unwrap();
    ended(&ledger, id).await;
    // Even by now, when another export would be as of another seal; and spelt in another way.
    ledger.screen(DEMO, 4).await;
    ledger.seal().await;
    for body in ["", "{}", r#" {"tables" : true} "#] {
        let again = ask_under(&ledger, Role::Monitor, "k-1", body).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (202, "true"));
        assert_eq!(again.header("location"), first.header("location"));
        let status = again.json();
        assert_eq!((&status["id"], &status["state"]), (&json!(id), &json!("done")));
        assert_eq!(status["seal"], 0);
    }
    let others =
        [ask_under(&ledger, Role::Monitor, "k-2", "").await, ask_for(&ledger, Role::Monitor, "").await];
    assert!(others.iter().all(|other| other.json()["id"] != json!(id)));
}

#[actix_web::test]
async fn a_key_stands_for_one_content_only() {
    let ledger = ledger().await;
    assert_eq!(ask_under(&ledger, Role::Monitor, "k-1", r#"{"purpose":"one"}"#).await.status, 202);
    for other in ["", r#"{"purpose":"two"}"#, r#"{"purpose":"one","tables":false}"#] {
        let refused = ask_under(&ledger, Role::Monitor, "k-1", other).await;
        assert_eq!(refused.problem(), (409, "conflict".into()), "{other}");
    }
    // The same person in a role that may have less does not get at what was made for the other.
    let refused = ask_under(&ledger, Role::Researcher, "k-1", r#"{"purpose":"one"}"#).await;
    assert_eq!(refused.problem(), (409, "conflict".into()));
    assert_eq!(ask_under(&ledger, Role::Monitor, "k 1", "").await.problem(), (400, "malformed".into()));
}

#[actix_web::test]
async fn a_key_is_its_actors_own() {
    let ledger = ledger().await;
    let exporter = ledger.exporter();
    let mut ids = std::collections::BTreeSet::new();
    for actor in ["person-1", "person-2"] {
        let begun = exporter.begin(order(actor, Shown::All, Some("k-1"))).await.unwrap();
        assert!(!begun.replayed && ids.insert(begun.status.id));
    }
    // Nor does it meet a command's id, from which an import's follows.
    let command = ledger.vault.command_id("person-1", &format!("{DEMO}/k-1"));
    let import = uuid::Builder::from_custom_bytes(command[..16].try_into().unwrap()).into_uuid();
    assert!(!ids.contains(&import));
}

#[actix_web::test]
async fn requests_at_once_under_one_key_make_one_export() {
    let ledger = ledger().await;
    let exporter = ledger.exporter();
    let begun = (0..8).map(|_| exporter.begin(order("person-1", Shown::All, Some("k-1"))));
    let begun = futures_util::future::join_all(begun).await;
    let begun: Vec<_> = begun.into_iter().map(Result::unwrap).collect();
    assert!(begun.iter().all(|one| one.status.id == begun[0].status.id));
    assert_eq!(begun.iter().filter(|one| !one.replayed).count(), 1);
}

#[actix_web::test]
async fn a_body_that_is_no_json_is_refused_by_its_type() {
    let ledger = ledger().await;
    let request = |kind| request_for(Role::Monitor, "{}").insert_header(("content-type", kind));
    let refused = ledger.ask(request("text/plain")).await;
    assert_eq!(refused.problem(), (415, "unsupported-media-type".into()));
    assert_eq!(ledger.ask(request("application/json; charset=utf-8")).await.status, 202);
    let post = as_role(Role::Monitor, "/v1/trials/DEMO-1/exports").method(actix_web::http::Method::POST);
    assert_eq!(ledger.ask(post).await.status, 202, "without a body");
}

#[actix_web::test]
async fn no_more_exports_wait_than_may() {
    let ledger = ledger().await;
    let first = ask_under(&ledger, Role::Monitor, "k-1", "").await.json();
    let id: Uuid = first["id"].as_str().unwrap().parse().unwrap();
    ended(&ledger, id).await;
    let mut open = job(&ledger, id).await;
    open.status.state = ExportState::Running;
    for number in 0..MAX_RUNNING {
        open.status.id = Uuid::from_u128(number as u128);
        ledger.store.put_job(&open.row().unwrap()).await.unwrap();
    }
    let refused = ask_under(&ledger, Role::Monitor, "k-2", "").await;
    assert_eq!(refused.problem(), (503, "busy".into()));
    assert_eq!(refused.header("retry-after"), "30");
    // The first one is kept, and stands in nobody's way.
    assert_eq!(ledger.store.open_jobs(KIND).await.unwrap().len(), MAX_RUNNING + 1);
    assert_eq!(
        ask_under(&ledger, Role::Monitor, "k-1", "").await.status,
        202,
        "what is there is answered with"
    );
    open.status.state = ExportState::Failed;
    ledger.store.put_job(&open.row().unwrap()).await.unwrap();
    assert_eq!(ask_under(&ledger, Role::Monitor, "k-2", "").await.status, 202);
}

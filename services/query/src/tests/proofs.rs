//! Every proof is checked with the verifiers that readers use.

use actix_web::test::{call_service, init_service, read_body_json};
use serde_json::Value;
use trialseal_record::Role;
use trialseal_seal::absence::Absence;
use trialseal_seal::growth::Growth;
use trialseal_seal::note::{KeyKind, Signer};
use trialseal_seal::policy::Policy;
use trialseal_seal::receipt::{Receipt, ReceiptReport};

use crate::testing::{Ledger, ORIGIN, app, as_role};

async fn receipt(ledger: &Ledger, trialseq: u64) -> (Receipt, ReceiptReport) {
    let answer =
        ledger.get(Role::Monitor, &format!("/v1/trials/DEMO-1/events/{trialseq}/receipt?fields=")).await;
    assert_eq!(answer.status, 200, "event {trialseq}: {}", answer.text());
    let receipt = Receipt::parse(&answer.body).unwrap();
    let report = receipt.verify(&ledger.policy()).unwrap();
    assert_eq!(u64::from(report.trialseq), trialseq);
    (receipt, report)
}

async fn growth(ledger: &Ledger, from: u64, to: u64) -> (u64, u64) {
    let answer = ledger.get(Role::Sponsor, &format!("/v1/trials/DEMO-1/growth?from={from}&to={to}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let report = Growth::parse(&answer.body).unwrap().verify(&ledger.policy()).unwrap();
    (report.from_size, report.to_size)
}

#[actix_web::test]
async fn a_receipt_brackets_its_event_between_two_seals() {
    let ledger = Ledger::new().await;
    ledger.register("DEMO-1", "A trial").await;
    ledger.seal().await;
    ledger.screen("DEMO-1", 1).await;
    ledger.seal().await;
    ledger.screen("DEMO-1", 2).await;
    // The cut that the event just missed: it is covered by the second seal after the one it names.
    ledger.cut(2).await;
    ledger.publish().await;
    ledger.seal().await;

    let (first, report) = receipt(&ledger, 0).await;
    assert_eq!((first.bracket.unwrap().after, report.seal), (None, 0));
    let (second, report) = receipt(&ledger, 1).await;
    let after = second.bracket.unwrap().after.unwrap();
    assert_eq!((after.seal.seal.seal, after.prior_note, report.seal), (0, None, 1));
    let (third, report) = receipt(&ledger, 2).await;
    let after = third.bracket.unwrap().after.unwrap();
    assert_eq!((after.seal.seal.seal, report.seal), (1, 3));
    assert!(after.prior_note.is_some());
}

#[actix_web::test]
async fn a_first_event_may_be_covered_by_the_second_seal_of_all() {
    let ledger = Ledger::new().await;
    ledger.register("DEMO-1", "A trial").await;
    ledger.cut(0).await;
    ledger.publish().await;
    ledger.seal().await;
    assert_eq!(receipt(&ledger, 0).await.1.seal, 1);
}

#[actix_web::test]
async fn receipts_and_growth_hold_around_the_edges_of_tiles() {
    let ledger = Ledger::new().await;
    ledger.register("DEMO-1", "A trial").await;
    let sizes = [1, 255, 256, 257, 511, 513, 65_535, 65_536, 65_537, 66_000];
    let mut size = 1;
    for next in sizes {
        ledger.fill("DEMO-1", next - size).await;
        ledger.seal().await;
        size = next;
    }
    for trialseq in [0, 1, 254, 255, 256, 257, 510, 512, 513, 40_000, 65_534, 65_535, 65_536, 65_537, 65_999]
    {
        receipt(&ledger, trialseq).await;
    }
    for (from, from_size) in (0..).zip(sizes) {
        for (to, to_size) in (0..).zip(sizes).skip(usize::try_from(from).unwrap()) {
            assert_eq!(growth(&ledger, from, to).await, (from_size, to_size));
        }
    }
}

#[actix_web::test]
async fn receipts_hold_when_the_log_has_more_than_a_tile() {
    let ledger = Ledger::new().await;
    ledger.register("DEMO-1", "A trial").await;
    for _ in 0..258 {
        ledger.fill("DEMO-1", 1).await;
        ledger.seal().await;
    }
    for trialseq in [0, 1, 254, 255, 256, 257, 258] {
        let (_, report) = receipt(&ledger, trialseq).await;
        assert_eq!(report.log_size, report.seal + 1);
    }
    assert_eq!(growth(&ledger, 0, 257).await, (2, 259));
}

#[actix_web::test]
async fn what_no_published_seal_covers_is_to_be_asked_for_again() {
    let ledger = Ledger::new().await;
    ledger.register("DEMO-1", "A trial").await;
    let uri = "/v1/trials/DEMO-1/events/0/receipt";
    let pending = ledger.get(Role::Monitor, uri).await;
    assert_eq!((pending.problem(), pending.header("retry-after")), ((409, "not-yet-sealed".into()), "1"));
    ledger.cut(u64::MAX).await;
    assert_eq!(
        ledger.get(Role::Monitor, uri).await.problem(),
        (409, "not-yet-sealed".into()),
        "sealed, not published"
    );
    ledger.publish().await;
    assert_eq!(ledger.get(Role::Monitor, uri).await.status, 200);
    let beyond = ledger.get(Role::Monitor, "/v1/trials/DEMO-1/events/1/receipt").await;
    assert_eq!(beyond.problem(), (404, "not-found".into()));
}

#[actix_web::test]
async fn a_receipt_shows_what_was_asked_for_and_the_role_may_see() {
    let ledger = Ledger::new().await;
    ledger.register("DEMO-1", "A trial").await;
    ledger.screen("DEMO-1", 1).await;
    ledger.seal().await;
    let uri = "/v1/trials/DEMO-1/events/1/receipt";
    let shown = async |role: Role, query: &str| {
        let answer = ledger.get(role, &format!("{uri}{query}")).await;
        let report = Receipt::parse(&answer.body).unwrap().verify(&ledger.policy()).unwrap();
        (report.fields.map(|fields| (fields.shown, fields.total)), answer.text().contains("01-001"))
    };
    assert_eq!(shown(Role::Investigator, "").await, (Some((2, 2)), true));
    assert_eq!(shown(Role::Investigator, "?fields=/screenedOn").await, (Some((1, 2)), false));
    assert_eq!(shown(Role::Researcher, "").await, (None, false));
    assert_eq!(shown(Role::Admin, "?fields=").await, (None, false));
    let forbidden = ledger.get(Role::Researcher, &format!("{uri}?fields=/subjectNumber")).await;
    assert_eq!(forbidden.problem(), (403, "forbidden".into()));
    let unknown = ledger.get(Role::Monitor, &format!("{uri}?fields=/screenedOn,/name")).await;
    assert_eq!(unknown.problem(), (422, "invalid".into()));
    ledger.destroy_key_of("DEMO-1", 1).await;
    assert_eq!(shown(Role::Investigator, "").await, (None, false));
}

#[actix_web::test]
async fn absence_is_proved_of_what_is_absent() {
    let ledger = Ledger::new().await;
    for number in 0..20 {
        ledger.register(&format!("T-{number}"), "A trial").await;
    }
    ledger.seal().await;
    ledger.register("DEMO-1", "A trial").await;
    ledger.seal().await;
    let mut with_other = 0;
    for number in 0..200 {
        let answer = ledger.get(Role::Monitor, &format!("/v1/trials/NONE-{number}/absence")).await;
        let absence = Absence::parse(&answer.body).unwrap();
        absence.verify(&ledger.policy()).unwrap();
        with_other += usize::from(absence.other.is_some());
    }
    assert!((1..200).contains(&with_other), "both kinds of proof were seen");
    let before = ledger.get(Role::Admin, "/v1/trials/DEMO-1/absence?seal=0").await;
    assert_eq!(Absence::parse(&before.body).unwrap().verify(&ledger.policy()).unwrap().seal.seal, 0);
    let present = ledger.get(Role::Admin, "/v1/trials/DEMO-1/absence?seal=1").await;
    assert_eq!(present.problem(), (422, "invalid".into()));
    let late = ledger.get(Role::Admin, "/v1/trials/DEMO-1/absence?seal=2").await;
    assert_eq!(late.problem(), (404, "not-found".into()));
    for role in [Role::Sponsor, Role::Investigator, Role::Researcher] {
        let refused = ledger.get(role, "/v1/trials/NONE/absence").await;
        assert_eq!(refused.problem(), (403, "forbidden".into()), "{role}");
    }
}

#[actix_web::test]
async fn growth_is_between_published_seals_in_order() {
    let ledger = Ledger::new().await;
    ledger.register("OTHER", "Another trial").await;
    ledger.seal().await;
    ledger.register("DEMO-1", "A trial").await;
    ledger.seal().await;
    ledger.seal().await;
    assert_eq!(growth(&ledger, 1, 2).await, (1, 1));
    let cases = [("from=0&to=1", 404), ("from=1&to=3", 404), ("from=2&to=1", 422)];
    for (seals, status) in cases {
        let answer = ledger.get(Role::Sponsor, &format!("/v1/trials/DEMO-1/growth?{seals}")).await;
        assert_eq!(answer.status, status, "{seals}");
    }
}

#[actix_web::test]
async fn a_receipt_that_its_readers_would_refuse_is_not_given_out() {
    let ledger = Ledger::new().await;
    ledger.register("DEMO-1", "A trial").await;
    ledger.seal().await;
    let stranger = Signer::new(ORIGIN, KeyKind::Ed25519, &[8; 32]).unwrap();
    let query = ledger.query_under(Policy::text_for_log(&stranger.verifier_key()));
    let app = init_service(app(query)).await;
    for uri in ["events/0/receipt", "growth?from=0&to=0"] {
        let request = as_role(Role::Monitor, &format!("/v1/trials/DEMO-1/{uri}")).to_request();
        let response = call_service(&app, request).await;
        assert_eq!(response.status(), 500, "{uri}");
        let problem: Value = read_body_json(response).await;
        assert_eq!(problem["type"], "urn:trialseal:problem:damaged");
        assert!(problem["detail"].as_str().unwrap().contains("trial DEMO-1"), "{problem}");
    }
}

use actix_web::cookie::Cookie;
use actix_web::test::TestRequest;
use trialseal_access::http::SESSION_COOKIE;
use trialseal_record::Role;
use trialseal_record::ids::Scope;
use trialseal_record::view::Overview;

use crate::testing::{Ledger, ORIGIN, token, trial};

async fn ledger() -> Ledger {
    let ledger = Ledger::new().await;
    ledger.register("DEMO-1", "A <b>trial</b>").await;
    ledger.seal().await;
    let overview = Overview { title: Some("A <b>trial</b>".parse().unwrap()), ..Overview::default() };
    ledger.document(&Scope::Trial(trial("DEMO-1")), "", &overview).await;
    ledger
}

#[actix_web::test]
async fn the_page_shows_everybody_how_the_ledger_stands_and_no_trial() {
    let ledger = ledger().await;
    let answer = ledger.ask(TestRequest::get().uri("/")).await;
    let text = answer.text();
    for said in ["Sealing.", "Sealed until", "Checkpoint", ORIGIN, "It does not prove", "trialseal-verify"] {
        assert!(text.contains(said), "{said}");
    }
    assert!(!text.contains("DEMO-1"));
    assert!(answer.header("content-security-policy").starts_with("default-src 'none'; style-src 'self'"));
    assert!(!text.contains("<script") && !text.contains("style=\"") && !text.contains("http://"), "{text}");
}

#[actix_web::test]
async fn a_public_trial_is_shown_to_everybody() {
    let ledger = ledger().await;
    ledger.register("PUBLIC-1", "An open trial").await;
    let text = ledger.ask(TestRequest::get().uri("/")).await.text();
    assert!(text.contains("PUBLIC-1") && !text.contains("DEMO-1"), "{text}");
}

#[actix_web::test]
async fn a_ledger_that_has_fallen_silent_says_so() {
    let ledger = Ledger::new().await;
    assert!(ledger.ask(TestRequest::get().uri("/")).await.text().contains("Nothing is sealed yet"));
    ledger.seal().await;
    ledger.clock.advance(121_000_000);
    assert!(ledger.ask(TestRequest::get().uri("/")).await.text().contains("Silent for 121 seconds"));
}

#[actix_web::test]
async fn whoever_has_logged_in_sees_the_trials_that_they_reach() {
    let ledger = ledger().await;
    let cookie = Cookie::new(SESSION_COOKIE, token(Role::Sponsor).reveal().to_owned());
    let text = ledger.ask(TestRequest::get().uri("/").cookie(cookie)).await.text();
    assert!(text.contains("DEMO-1") && text.contains("Logged in as <strong>sponsor</strong>"), "{text}");
    assert!(text.contains("A &lt;b&gt;trial&lt;/b&gt;") && !text.contains("<b>trial"), "{text}");
    assert!(!text.contains("/access") && !text.contains("/login"), "{text}");
    let cookie = Cookie::new(SESSION_COOKIE, token(Role::Admin).reveal().to_owned());
    let text = ledger.ask(TestRequest::get().uri("/").cookie(cookie)).await.text();
    assert!(text.contains("href=\"/access\""), "{text}");
}

#[actix_web::test]
async fn the_api_page_names_every_route() {
    let ledger = Ledger::new().await;
    let text = ledger.ask(TestRequest::get().uri("/api")).await.text();
    let routes = [
        "/v1/trials",
        "/v1/trials/{trial}/events/{trialseq}/receipt",
        "/v1/trials/{trial}/stream",
        "/v1/seals",
        "/v1/policy",
        "/v1/trust",
        "/log/{path}",
        "/v1/trials/{trial}/participants/{id}/timeline",
    ];
    for route in routes {
        assert!(text.contains(&format!("<code>{route}</code>")), "{route}");
    }
    assert!(text.contains("id=\"TrialOverview\"") && text.contains("application/problem+json"));
}

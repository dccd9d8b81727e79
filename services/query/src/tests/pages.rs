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

fn sign_in(token: &str) -> TestRequest {
    let form = format!("token={token}");
    TestRequest::post()
        .uri("/sign-in")
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload(form)
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
async fn whoever_signs_in_sees_the_trials_that_their_token_reaches() {
    let ledger = ledger().await;
    let signed_in = ledger.ask(sign_in(token(Role::Sponsor).reveal())).await;
    assert_eq!((signed_in.status, signed_in.header("location")), (303, "/"));
    let cookie = signed_in.header("set-cookie").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = Cookie::new(SESSION_COOKIE, token(Role::Sponsor).reveal().to_owned());
    let text = ledger.ask(TestRequest::get().uri("/").cookie(cookie)).await.text();
    assert!(text.contains("DEMO-1") && text.contains("Signed in as <strong>sponsor</strong>"), "{text}");
    assert!(text.contains("A &lt;b&gt;trial&lt;/b&gt;") && !text.contains("<b>trial"), "{text}");
    let signed_out = ledger.ask(TestRequest::post().uri("/sign-out")).await;
    assert!(signed_out.header("set-cookie").contains("Max-Age=0"));
}

#[actix_web::test]
async fn a_wrong_token_and_a_form_from_elsewhere_set_no_cookie() {
    let ledger = ledger().await;
    for wrong in ["x", &format!("ts_{}", "f".repeat(64))] {
        let answer = ledger.ask(sign_in(wrong)).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/?token=refused"));
        assert!(!answer.headers.contains_key("set-cookie"));
    }
    assert!(ledger.ask(TestRequest::get().uri("/?token=refused")).await.text().contains("not known"));
    let foreign = sign_in(token(Role::Sponsor).reveal()).insert_header(("sec-fetch-site", "cross-site"));
    assert_eq!(ledger.ask(foreign).await.problem(), (403, "forbidden".into()));
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
        "/log/{path}",
        "/v1/trials/{trial}/participants/{id}/timeline",
    ];
    for route in routes {
        assert!(text.contains(&format!("<code>{route}</code>")), "{route}");
    }
    assert!(text.contains("id=\"TrialOverview\"") && text.contains("application/problem+json"));
}

//! People and systems whom a real OpenID Connect provider vouches for: npm's `oidc-provider`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;

use serde_json::{Value, json};
use trialseal_tests::{
    Answer, Browser, Client, Engine, Page, Provider, Role, Service, Trial, on_both_engines,
};

on_both_engines!(
    people_log_in_at_the_provider,
    a_login_that_was_not_begun_here_is_refused,
    the_provider_s_tokens_are_taken_by_what_they_say,
    keys_change_and_the_provider_goes_away,
    access_ends_here_whatever_the_provider_says,
    access_ends_with_the_role_at_the_provider,
);

const ADDRESS: &str = "https://ledger.example.org";
const AUDIENCE: &str = "https://ledger.example.org/api";
const SECRET: &str = "canary/secret+of the client";

/// A service that believes a provider.
fn service(engine: Engine) -> (Service, Provider) {
    let provider = Provider::start(&format!("{ADDRESS}/login/callback"), AUDIENCE);
    let mut service = Service::prepared(engine);
    let (file, secret) = (service.dir().join("oidc.json"), service.dir().join("oidc.secret"));
    fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let config = json!({
        "issuer": provider.issuer, "clientId": "trialseal", "clientSecretFile": secret, "audience": AUDIENCE,
        "scope": "openid groups", "clockSkewSeconds": 60, "requiredClaims": {"email_verified": true},
        "roles": [
            {"claims": {"groups": "monitors"}, "role": "monitor", "organisation": "Example CRO"},
            {"claims": {"groups": "sites"}, "role": "investigator", "organisationClaim": "org", "trialsClaim": "trials"},
        ],
    });
    fs::write(&file, config.to_string()).unwrap();
    service.set("TRIALSEAL_OIDC_FILE", file.to_str().unwrap());
    service.set("TRIALSEAL_PUBLIC_ADDRESS", ADDRESS);
    service.set("TRIALSEAL_LOG", "trace");
    service.start_again();
    (service, provider)
}

fn browser(service: &Service) -> Browser {
    Browser::new().behind_a_proxy(ADDRESS, &service.address())
}

/// Logs in at the provider, whose own pages ask who it is and whether they agree.
fn log_in(browser: &mut Browser, login: &str) -> Page {
    let asked = browser.open(&format!("{ADDRESS}/login/provider"));
    let fields = [("prompt", "login"), ("login", login), ("password", "canary-at-the-provider")];
    let agreed = browser.submit(&asked.after("<form", "action"), &fields);
    browser.submit(&agreed.after("<form", "action"), &[("prompt", "consent")])
}

fn trials(service: &Service, token: &str) -> Answer {
    service.client_with(token).get("/v1/trials")
}

/// Why a token is refused.
fn why(service: &Service, token: &str) -> String {
    trials(service, token).problem(401, "unauthenticated")["detail"].as_str().unwrap().to_owned()
}

fn now() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn grants(client: &Client) -> Vec<Value> {
    client.json("/v1/grants")["grants"].as_array().unwrap().clone()
}

fn people_log_in_at_the_provider(engine: Engine) {
    let (service, _provider) = service(engine);
    Trial::open(&service, "PROVIDED-1");
    Trial::open(&service, "PROVIDED-2");
    let mut monica = browser(&service);
    assert!(monica.open(&format!("{ADDRESS}/login")).html.contains("your organisation"));
    let home = log_in(&mut monica, "monica");
    assert_eq!(home.url, format!("{ADDRESS}/"), "{}", home.html);
    assert!(
        home.html.contains("Logged in as <strong>monitor") && home.html.contains("PROVIDED-2"),
        "{}",
        home.html
    );
    let ours = |set: &&String| set.starts_with("__Host-trialseal");
    let set: Vec<&String> = monica.set_cookies.iter().filter(ours).collect();
    assert!(
        set.iter().all(|set| set.contains("Secure") && set.contains("HttpOnly") && set.contains("Lax")),
        "{set:?}"
    );
    assert!(monica.cookie(ADDRESS, "__Host-trialseal_login").is_none(), "the login is over");

    let mut ivan = browser(&service);
    let home = log_in(&mut ivan, "ivan");
    assert!(home.html.contains("investigator") && home.html.contains("PROVIDED-1"), "{}", home.html);
    assert!(!home.html.contains("PROVIDED-2"), "his trials are those that the provider names");
    let mut nora = browser(&service);
    let refused = log_in(&mut nora, "nora");
    assert!(
        refused.status == 403 && refused.html.contains("no rule gives its holder a role"),
        "{}",
        refused.html
    );

    // The record names them by ids of ours, and the log holds no secret.
    let monitor = service.client(Role::Monitor);
    let by_provider: Vec<Value> =
        grants(&monitor).into_iter().filter(|grant| grant["means"] == "provider").collect();
    assert_eq!(by_provider.len(), 2, "{by_provider:?}");
    assert!(!format!("{by_provider:?}").contains("monica"));
    let log = service.log();
    let session = monica.cookie(ADDRESS, "__Host-trialseal_session").unwrap();
    for canary in [SECRET, "canary%2Fsecret", "canary-at-the-provider", &session, "id_token", "code_verifier"]
    {
        let line = log.lines().find(|line| line.contains(canary));
        assert_eq!(line, None, "the log holds {canary}");
    }
    let out = monica.submit(&format!("{ADDRESS}/logout"), &[]);
    assert!(out.html.contains("Log in") && !out.html.contains("PROVIDED-2"));
}

fn a_login_that_was_not_begun_here_is_refused(engine: Engine) {
    let (service, _provider) = service(engine);
    let mut browser = browser(&service);
    let callback = format!("{ADDRESS}/login/callback");
    let none = browser.open(&format!("{callback}?code=x&state=y"));
    assert!(none.status == 403 && none.html.contains("has begun no login"), "{}", none.html);
    browser.open(&format!("{ADDRESS}/login/provider"));
    let other = browser.open(&format!("{callback}?code=x&state=y"));
    assert!(other.status == 403 && other.html.contains("belongs to another login"), "{}", other.html);
    let begun = |browser: &mut Browser| {
        browser.open(&format!("{ADDRESS}/login/provider"));
        let cookie = browser.cookie(ADDRESS, "__Host-trialseal_login").unwrap();
        cookie.split('.').next().unwrap().to_owned()
    };
    let state = begun(&mut browser);
    let wrong = browser.open(&format!("{callback}?code=made-up&state={state}"));
    assert!(wrong.status == 403 && wrong.html.contains("does not take the code"), "{}", wrong.html);
    let again = browser.open(&format!("{callback}?code=made-up&state={state}"));
    assert!(again.html.contains("has begun no login"), "a login is tried once: {}", again.html);
    let state = begun(&mut browser);
    let mixed = browser.open(&format!("{callback}?code=x&state={state}&iss=https%3A%2F%2Felse.example"));
    assert!(mixed.html.contains("another provider"), "{}", mixed.html);
    let state = begun(&mut browser);
    let denied = browser.open(&format!("{callback}?error=access_denied&state={state}"));
    assert!(denied.html.contains("has not let you in"), "{}", denied.html);
    assert!(browser.cookie(ADDRESS, "__Host-trialseal_session").is_none());
}

fn the_provider_s_tokens_are_taken_by_what_they_say(engine: Engine) {
    let (service, provider) = service(engine);
    let trial = Trial::open(&service, "PROVIDED-1");
    let other = Trial::open(&service, "PROVIDED-2");
    // One that the provider makes for a system by itself.
    let edc = service.client_with(&provider.client_token(AUDIENCE));
    edc.get(&trial.path("events")).expect(200);
    edc.get(&other.path("events")).problem(404, "not-found");
    edc.get("/v1/tokens").problem(403, "forbidden");
    assert!(why(&service, &provider.client_token("https://elsewhere.example")).contains("another audience"));

    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        trials(&service, &provider.mint(&json!({"by": algorithm}))).expect(200);
    }
    let now = now();
    let refused = [
        (json!({"by": "none"}), "algorithm is not taken"),
        (json!({"by": "public-key-as-secret"}), "algorithm is not taken"),
        (json!({"by": "stranger"}), "its signature is wrong"),
        (json!({"by": "stranger", "header": {"kid": "made-up"}}), "no such key"),
        (json!({"header": {"kid": "ES256-1"}}), "no such key"),
        (json!({"header": {"typ": "logout+jwt"}}), "no access token"),
        (json!({"claims": {"aud": "trialseal"}}), "another audience"),
        (json!({"claims": {"iss": "https://login.example.org"}}), "another issuer"),
        (json!({"claims": {"exp": now - 61}}), "it has ended"),
        (json!({"claims": {"nbf": now + 3600}}), "does not count yet"),
        (json!({"claims": {"iat": now + 3600}}), "does not count yet"),
        (json!({"claims": {"exp": null}}), "lacks one of"),
        (json!({"claims": {"sub": null}}), "lacks one of"),
        (json!({"claims": {"email_verified": false}}), "a claim that is required"),
        (json!({"claims": {"groups": ["others"], "sub": "nobody"}}), "no rule gives"),
    ];
    for (how, expected) in refused {
        let said = why(&service, &provider.mint(&how));
        assert!(said.contains(expected), "{how}: {said}");
    }
    // Within the clocks' difference that is allowed.
    for claims in [json!({"exp": self::now() - 5}), json!({"nbf": self::now() + 5})] {
        trials(&service, &provider.mint(&json!({"claims": claims}))).expect(200);
    }
    let mut token = provider.mint(&json!({}));
    token.replace_range(token.len() - 8.., "AAAAAAAA");
    assert!(why(&service, &token).contains("its signature is wrong"));
    let log = service.log();
    assert!(!log.contains(&token[..200]) && !log.contains(".eyJ"), "the log holds a token");

    // Somebody's role changes at the provider, and here with their next token.
    let before = grants(&service.client(Role::Monitor)).len();
    let moved = json!({"claims": {"groups": ["sites"], "org": "Site B", "trials": ["PROVIDED-2"], "iat": self::now() + 2}});
    let client = service.client_with(&provider.mint(&moved));
    client.get(&other.path("events")).expect(200);
    client.get(&trial.path("events")).problem(404, "not-found");
    assert_eq!(
        grants(&service.client(Role::Monitor)).len(),
        before,
        "one role of theirs stands for the other"
    );
}

fn keys_change_and_the_provider_goes_away(engine: Engine) {
    let (service, provider) = service(engine);
    provider.go_away();
    let early = provider.mint(&json!({}));
    trials(&service, &early).problem(503, "unavailable");
    let mut browser = browser(&service);
    assert_eq!(browser.open(&format!("{ADDRESS}/login/provider")).status, 503);
    service.client(Role::Monitor).get("/v1/trials").expect(200);
    provider.come_back();
    // It is asked again after ten seconds.
    service.wait("the provider is back", || (trials(&service, &early).status == 200).then_some(()));

    provider.rotate();
    let new = provider.mint(&json!({}));
    service.wait("the new key is known", || (trials(&service, &new).status == 200).then_some(()));
    assert!(why(&service, &early).contains("no such key"), "the old keys are gone");
    provider.go_away();
    trials(&service, &provider.mint(&json!({}))).expect(200);
    trials(&service, &new).expect(200);
}

fn access_ends_here_whatever_the_provider_says(engine: Engine) {
    let (service, provider) = service(engine);
    let mut monica = browser(&service);
    log_in(&mut monica, "monica");
    let page = format!("{ADDRESS}/v1/trials");
    assert_eq!(monica.open(&page).status, 200);
    let token = provider.mint(&json!({"claims": {"sub": "monica"}}));
    trials(&service, &token).expect(200);
    let admin = service.client(Role::Admin);
    let accounts = admin.json("/v1/accounts");
    assert_eq!(accounts["accounts"].as_array().unwrap().len(), 1, "one person, one account: {accounts}");
    assert_eq!(accounts["accounts"][0]["issuer"], provider.issuer);
    let id = accounts["accounts"][0]["id"].as_str().unwrap();
    let ended = admin.send("DELETE", &format!("/v1/accounts/{id}?reason=Left"), &[], ureq::SendBody::none());
    assert_eq!(ended.unwrap().status, 204);
    assert_eq!(monica.open(&page).status, 401);
    assert!(why(&service, &token).contains("has been taken back"));
    let mut again = browser(&service);
    let refused = log_in(&mut again, "monica");
    assert!(refused.status == 403 && refused.html.contains("has been taken back"), "{}", refused.html);
}

fn access_ends_with_the_role_at_the_provider(engine: Engine) {
    let (service, provider) = service(engine);
    let mut monica = browser(&service);
    log_in(&mut monica, "monica");
    let page = format!("{ADDRESS}/v1/trials");
    assert_eq!(monica.open(&page).status, 200);
    let monitor = service.client(Role::Monitor);
    let by_provider = || grants(&monitor).iter().filter(|grant| grant["means"] == "provider").count();
    assert_eq!(by_provider(), 1);
    let says = |groups: &str, later: i64| {
        provider.mint(&json!({"claims": {"sub": "monica", "groups": [groups], "iat": now() + later}}))
    };
    let before = says("monitors", 0);
    assert!(why(&service, &says("others", 10)).contains("no rule gives"));
    assert_eq!(monica.open(&page).status, 401, "her session has ended");
    assert_eq!(by_provider(), 0);
    assert_eq!(service.client(Role::Admin).json("/v1/accounts")["accounts"][0]["withdrawn"], true);
    assert!(why(&service, &before).contains("said something else"), "it was made before");
    trials(&service, &says("monitors", 20)).expect(200);
    assert_eq!(by_provider(), 1);
    assert_eq!(monica.open(&page).status, 401, "a session that has ended stays so");
}

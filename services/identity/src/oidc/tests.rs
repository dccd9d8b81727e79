//! Tokens of a provider that is played here, key by key and claim by claim. `tests/tests/provider.rs` has a real one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use trialseal_access::http::Holders;
use trialseal_runtime::clock::ManualClock;
use trialseal_store::Accounts;
use zeroize::Zeroizing;

use super::claims::Use;
use super::{Claims, Fetch, NotVouched, OidcConfig, Provider};
use crate::StoredHolders;
use crate::testing::{Ledger, NOW};

const ISSUER: &str = "https://login.example.org/realm";
const SECONDS: i64 = NOW / 1_000_000;

fn config() -> Value {
    json!({
        "issuer": ISSUER, "clientId": "trialseal", "audience": "https://ledger.example.org",
        "clockSkewSeconds": 30, "requiredClaims": {"email_verified": true},
        "roles": [
            {"claims": {"groups": "monitors"}, "role": "monitor", "organisation": "CRO"},
            {"claims": {"groups": "sites"}, "role": "investigator", "organisationClaim": "org", "trialsClaim": "trials"},
        ],
    })
}

fn read(config: &Value) -> OidcConfig {
    OidcConfig::read(&config.to_string()).unwrap()
}

/// An Ed25519 key in PKCS #8 (RFC 8410), under its key id.
fn key(seed: u8) -> (String, EncodingKey) {
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend([seed; 32]);
    (format!("key-{seed}"), EncodingKey::from_ed_der(&der))
}

fn public(seed: u8) -> Value {
    let (kid, key) = key(seed);
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap()).unwrap();
    jwk["kid"] = json!(kid);
    jwk
}

/// A provider with these keys, which can be away.
struct Played {
    keys: Mutex<Vec<Value>>,
    away: Mutex<bool>,
    hangs: Mutex<bool>,
    asked: AtomicUsize,
    issuer: Mutex<String>,
}

#[async_trait]
impl Fetch for Played {
    async fn get(&self, url: &str) -> Result<String, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let hangs = *self.hangs.lock().unwrap();
        if hangs {
            std::future::pending::<()>().await;
        }
        if *self.away.lock().unwrap() {
            return Err("nobody answers".into());
        }
        Ok(match url {
            "https://login.example.org/realm/.well-known/openid-configuration" => json!({
                "issuer": *self.issuer.lock().unwrap(), "jwks_uri": "https://login.example.org/keys",
                "authorization_endpoint": "https://login.example.org/a", "token_endpoint": "https://login.example.org/t",
            }),
            "https://login.example.org/keys" => json!({"keys": *self.keys.lock().unwrap()}),
            other => panic!("{other} was asked for"),
        }
        .to_string())
    }

    async fn post(
        &self,
        _: &str,
        _: Option<Zeroizing<String>>,
        _: Zeroizing<String>,
    ) -> Result<(u16, Zeroizing<String>), String> {
        unreachable!()
    }
}

fn played() -> Arc<Played> {
    Arc::new(Played {
        keys: Mutex::new(vec![public(1)]),
        away: Mutex::new(false),
        hangs: Mutex::new(false),
        asked: AtomicUsize::new(0),
        issuer: Mutex::new(ISSUER.to_owned()),
    })
}

fn provider() -> (Provider, Arc<Played>, Arc<ManualClock>) {
    let (played, clock) = (played(), Arc::new(ManualClock::new(NOW)));
    (Provider::asked_by(read(&config()), clock.clone(), played.clone()), played, clock)
}

fn good() -> Value {
    json!({
        "iss": ISSUER, "aud": "https://ledger.example.org", "sub": "subject-1", "exp": SECONDS + 60, "iat": SECONDS,
        "email_verified": true, "groups": ["staff", "monitors"],
    })
}

/// Claims with some of them changed; null removes one.
fn with(changes: &Value) -> Value {
    let mut claims = good();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn signed(seed: u8, claims: &Value) -> String {
    let (kid, key) = key(seed);
    let header = Header { kid: Some(kid), typ: Some("at+jwt".into()), ..Header::new(Algorithm::EdDSA) };
    encode(&header, claims, &key).unwrap()
}

/// A token whose header says what it likes.
fn headed(header: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(&good()))
}

async fn why(provider: &Provider, jwt: &str) -> String {
    match provider.claims(jwt, Use::Access).await {
        Ok(_) => "taken".to_owned(),
        Err(NotVouched::Refused(refused)) => refused.0.to_owned(),
        Err(NotVouched::Unavailable(_)) => "unavailable".to_owned(),
    }
}

#[tokio::test]
async fn claims_are_taken_or_refused_by_what_they_say() {
    let (provider, ..) = provider();
    let cases = [
        (json!({}), "taken"),
        (json!({"aud": ["x", "https://ledger.example.org"]}), "taken"),
        (json!({"aud": "trialseal"}), "it was made for another audience"),
        (json!({"aud": null}), "it lacks one of iss, aud, exp and sub"),
        (json!({"iss": "https://login.example.org"}), "it comes from another issuer"),
        (json!({"iss": null}), "it lacks one of iss, aud, exp and sub"),
        (json!({"sub": null}), "it lacks one of iss, aud, exp and sub"),
        (json!({"sub": ""}), "it names nobody"),
        (json!({"sub": "a\0b"}), "it names nobody"),
        (json!({"sub": "s".repeat(256)}), "it names nobody"),
        (json!({"exp": null}), "it lacks one of iss, aud, exp and sub"),
        (json!({"exp": "soon"}), "it lacks one of iss, aud, exp and sub"),
        (json!({"exp": SECONDS - 29}), "taken"),
        (json!({"exp": SECONDS - 30}), "it has ended"),
        (json!({"nbf": SECONDS + 30}), "taken"),
        (json!({"nbf": SECONDS + 31}), "it does not count yet"),
        (json!({"iat": SECONDS + 31}), "it does not count yet"),
        (json!({"email_verified": false}), "it lacks a claim that is required"),
        (json!({"email_verified": null}), "it lacks a claim that is required"),
        (json!({"nonce": "n"}), "it is no access token"),
    ];
    for (changes, expected) in cases {
        assert_eq!(why(&provider, &signed(1, &with(&changes))).await, expected, "{changes}");
    }
}

#[tokio::test]
async fn a_token_does_not_choose_how_it_is_checked() {
    let (provider, played, _) = provider();
    let refused = "its header or algorithm is not taken";
    let unsigned = headed(&json!({"alg": "none", "kid": "key-1"}), "AAAA");
    assert_eq!(why(&provider, &unsigned).await, refused);
    assert_eq!(why(&provider, &headed(&json!({"alg": "HS256"}), "AAAA")).await, refused);
    // The public key as the secret of a symmetric signature.
    let x = URL_SAFE_NO_PAD.decode(public(1)["x"].as_str().unwrap()).unwrap();
    let header = Header { kid: Some("key-1".into()), ..Header::new(Algorithm::HS256) };
    assert_eq!(
        why(&provider, &encode(&header, &good(), &EncodingKey::from_secret(&x)).unwrap()).await,
        refused
    );
    for algorithm in ["RS256", "PS256", "ES256"] {
        let other = headed(&json!({"alg": algorithm, "kid": "key-1"}), "AAAA");
        assert_eq!(why(&provider, &other).await, "the provider has no such key", "{algorithm}");
    }
    let critical = headed(&json!({"alg": "EdDSA", "kid": "key-1", "crit": ["exp"]}), "AAAA");
    assert_eq!(why(&provider, &critical).await, "it asks for something that is not known here");
    // A key of its own in the header is not looked at.
    let own = headed(&json!({"alg": "EdDSA", "kid": "key-9", "jwk": public(9)}), "AAAA");
    assert_eq!(why(&provider, &own).await, "the provider has no such key");

    let (kid, foreign) = (key(1).0, key(9).1);
    let header = Header { kid: Some(kid), ..Header::new(Algorithm::EdDSA) };

    let other = encode(&header, &good(), &foreign).unwrap();
    assert_eq!(why(&provider, &other).await, "its signature is wrong");

    // Without a key id the only key counts, and of two neither.
    let nameless = encode(&Header::new(Algorithm::EdDSA), &good(), &key(1).1).unwrap();
    assert_eq!(why(&provider, &nameless).await, "taken");
    played.keys.lock().unwrap().push(public(2));
    let config = read(&config());
    let two = Provider::asked_by(config, Arc::new(ManualClock::new(NOW)), played);
    assert_eq!(why(&two, &nameless).await, "the provider has no such key");
}

#[tokio::test]
async fn keys_that_are_not_for_signing_are_none() {
    let (provider, played, _) = provider();
    for (member, value) in [("use", "enc"), ("alg", "RS256")] {
        let mut key = public(1);
        key[member] = json!(value);
        *played.keys.lock().unwrap() = vec![key, json!({"kty": "quantum", "kid": "key-1"}), json!(7)];
        let other = Provider::asked_by(read(&config()), Arc::new(ManualClock::new(NOW)), played.clone());
        assert_eq!(why(&other, &signed(1, &good())).await, "the provider has no such key", "{member}");
    }
    drop(provider);
}

#[tokio::test]
async fn a_new_key_is_asked_for_and_an_old_one_forgotten_with_it() {
    let (provider, played, clock) = provider();
    assert_eq!(why(&provider, &signed(1, &good())).await, "taken");
    assert_eq!(played.asked.load(Ordering::SeqCst), 2);
    *played.keys.lock().unwrap() = vec![public(2)];
    clock.advance(10_000_000);
    assert_eq!(why(&provider, &signed(2, &good())).await, "taken");
    assert_eq!(why(&provider, &signed(1, &good())).await, "the provider has no such key");
    // However many keys are made up, the provider is left in peace.
    let asked = played.asked.load(Ordering::SeqCst);
    for seed in 10..60 {
        assert_eq!(why(&provider, &signed(seed, &good())).await, "the provider has no such key");
    }
    assert_eq!(played.asked.load(Ordering::SeqCst), asked);
    clock.advance(10_000_000);
    assert_eq!(why(&provider, &signed(9, &good())).await, "the provider has no such key");
    assert_eq!(played.asked.load(Ordering::SeqCst), asked + 2);
}

#[tokio::test]
async fn while_the_provider_is_away_what_is_known_counts_and_the_rest_cannot_be_told() {
    let (provider, played, clock) = provider();
    *played.away.lock().unwrap() = true;
    assert_eq!(why(&provider, &signed(1, &good())).await, "unavailable");
    assert_eq!(why(&provider, &signed(1, &good())).await, "unavailable");
    assert_eq!(played.asked.load(Ordering::SeqCst), 1, "it is not asked by everybody");
    *played.away.lock().unwrap() = false;
    clock.advance(10_000_000);
    assert_eq!(why(&provider, &signed(1, &good())).await, "taken");
    *played.away.lock().unwrap() = true;
    let later = json!({"exp": SECONDS + 200_000});
    clock.advance(7_200_000_000);
    assert_eq!(why(&provider, &signed(1, &with(&later))).await, "taken", "hours later");
    assert_eq!(why(&provider, &signed(2, &with(&later))).await, "unavailable");
    clock.advance(79_199_000_000);
    assert_eq!(why(&provider, &signed(1, &with(&later))).await, "taken", "almost a day later");
    clock.advance(1_000_000);
    assert_eq!(why(&provider, &signed(1, &with(&later))).await, "unavailable", "a day later");
    *played.away.lock().unwrap() = false;
    clock.advance(10_000_000);
    assert_eq!(why(&provider, &signed(1, &with(&later))).await, "taken", "it is back");
}

#[tokio::test]
async fn nobody_waits_for_a_provider_that_hangs_where_its_keys_are_known() {
    let (provider, played, clock) = provider();
    assert_eq!(why(&provider, &signed(1, &good())).await, "taken");
    clock.advance(3_600_000_000);
    *played.hangs.lock().unwrap() = true;
    let later = signed(1, &with(&json!({"exp": SECONDS + 20_000})));
    for _ in 0..3 {
        let said = tokio::time::timeout(Duration::from_secs(10), why(&provider, &later)).await;
        assert_eq!(said.as_deref(), Ok("taken"));
        tokio::task::yield_now().await;
    }
    assert_eq!(played.asked.load(Ordering::SeqCst), 3, "it is asked once meanwhile");
}

#[tokio::test]
async fn keys_are_asked_for_anew_in_the_background_also_where_nobody_comes() {
    let (provider, played, clock) = provider();
    provider.keep();
    tokio::task::yield_now().await;
    assert_eq!(played.asked.load(Ordering::SeqCst), 0, "nobody has come with its word yet");
    assert_eq!(why(&provider, &signed(1, &good())).await, "taken");
    *played.keys.lock().unwrap() = vec![public(2)];
    clock.advance(3_600_000_000);
    provider.keep();
    while played.asked.load(Ordering::SeqCst) < 4 {
        tokio::task::yield_now().await;
    }
    let later = with(&json!({"exp": SECONDS + 20_000}));
    assert_eq!(why(&provider, &signed(2, &later)).await, "taken");
    assert_eq!(why(&provider, &signed(1, &later)).await, "the provider has no such key");
    assert_eq!(played.asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_not_believed() {
    let (provider, played, _) = provider();
    "https://login.example.org/other".clone_into(&mut played.issuer.lock().unwrap());
    assert_eq!(why(&provider, &signed(1, &good())).await, "unavailable");
}

#[tokio::test]
async fn the_answer_to_a_login_is_for_this_client_and_this_login() {
    let (provider, ..) = provider();
    let answer = |changes: Value| {
        let mut claims = with(&json!({"aud": "trialseal", "nonce": "n-1"}));
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let cases = [
        (json!({}), "taken"),
        (json!({"azp": "trialseal"}), "taken"),
        (json!({"azp": "another"}), "it was made for another client"),
        (json!({"aud": ["trialseal", "another"]}), "it was made for another client"),
        (json!({"aud": ["trialseal", "another"], "azp": "trialseal"}), "taken"),
        (json!({"aud": "https://ledger.example.org"}), "it was made for another audience"),
        (json!({"nonce": "n-2"}), "it answers another login"),
    ];
    for (changes, expected) in cases {
        let jwt = signed(1, &answer(changes.clone()));
        let said = match provider.claims(&jwt, Use::Login { nonce: "n-1" }).await {
            Ok(_) => "taken",
            Err(NotVouched::Refused(refused)) => refused.0,
            Err(NotVouched::Unavailable(_)) => "unavailable",
        };
        assert_eq!(said, expected, "{changes}");
    }
    assert_eq!(why(&provider, &signed(1, &answer(json!({})))).await, "it was made for another audience");
}

#[test]
fn rules_map_claims_to_roles_and_never_to_more_than_they_say() {
    let config = read(&config());
    let map = |claims: Value| {
        let claims: Claims = serde_json::from_value(claims).unwrap();
        config.map(&claims).map(|mapped| {
            let trials =
                mapped.trials.map(|trials| trials.iter().map(ToString::to_string).collect::<Vec<_>>());
            (mapped.role.to_string(), mapped.organisation, trials)
        })
    };
    let ids = |ids: &[&str]| Some(ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>());
    let site =
        |organisation: &str, trials| Some(("investigator".to_owned(), organisation.to_owned(), trials));
    assert_eq!(map(json!({"groups": ["monitors", "sites"]})), Some(("monitor".into(), "CRO".into(), None)));
    assert_eq!(
        map(json!({"groups": "sites", "org": "B", "trials": ["T-1", "T 2"]})),
        site("B", ids(&["T-1"]))
    );
    assert_eq!(
        map(json!({"groups": "sites", "org": "B", "trials": "T-1 T-2"})),
        site("B", ids(&["T-1", "T-2"]))
    );
    assert_eq!(map(json!({"groups": "sites", "org": "B"})), site("B", ids(&[])), "no claim, no trial");
    assert_eq!(map(json!({"groups": "sites"})), None, "no organisation");
    assert_eq!(map(json!({"groups": "sites", "org": "B\n"})), None);
    for nobody in [json!({}), json!({"groups": ["monitor"]}), json!({"groups": {"monitors": true}})] {
        assert_eq!(map(nobody), None);
    }
}

#[test]
fn a_configuration_that_would_let_anybody_in_is_refused() {
    let changes = [
        ("/issuer", json!("http://login.example.org")),
        ("/issuer", json!("https://")),
        ("/issuer", json!("http://localhost.example.org")),
        ("/issuer", json!("http://127.0.0.1@example.org")),
        ("/audience", json!("trialseal")),
        ("/clockSkewSeconds", json!(301)),
        ("/algorithms", json!(["HS256"])),
        ("/algorithms", json!([])),
        ("/roles/0/claims", json!({})),
        ("/roles/0/role", json!("system")),
        ("/roles/0/organisationClaim", json!("org")),
        ("/roles/1/trials", json!(["T-1"])),
        ("/clientSecretFile", json!("/nowhere/at/all")),
        ("/surprise", json!(1)),
    ];
    for (pointer, value) in changes {
        let mut config = config();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        config.pointer_mut(parent).unwrap()[name] = value.clone();
        assert!(OidcConfig::read(&config.to_string()).is_err(), "{pointer} {value}");
    }
    for good in ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost", "https://x.example/"] {
        let mut config = config();
        config["issuer"] = json!(good);
        assert!(OidcConfig::read(&config.to_string()).is_ok(), "{good}");
    }
}

#[tokio::test]
async fn somebody_has_one_account_whatever_the_provider_says_later() {
    let played = played();
    let by = Arc::clone(&played);
    let ledger = Ledger::new(|clock| Some(Provider::asked_by(read(&config()), clock, by))).await;
    let holders = Arc::new(StoredHolders::new(Arc::clone(&ledger.identity)));
    let asks: Vec<_> = (0..6)
        .map(|_| {
            let holders = Arc::clone(&holders);
            tokio::spawn(async move { holders.vouched(&signed(1, &good())).await.unwrap().unwrap() })
        })
        .collect();
    let mut actors = Vec::new();
    for ask in asks {
        actors.push(ask.await.unwrap().actor);
    }
    assert!(actors.iter().all(|actor| *actor == actors[0]), "{actors:?}");
    assert_eq!(ledger.kinds().await, ["role.granted"]);

    let moved = with(&json!({"groups": ["sites"], "org": "B", "trials": ["T-1"], "iat": SECONDS + 1}));
    for _ in 0..2 {
        let principal = holders.vouched(&signed(1, &moved)).await.unwrap().unwrap();
        assert_eq!((principal.actor.as_str(), principal.organisation.as_str()), (actors[0].as_str(), "B"));
    }
    assert_eq!(ledger.kinds().await, ["role.granted", "role.revoked", "role.granted"]);

    let stranger = with(&json!({"groups": [], "sub": "subject-2"}));
    assert!(holders.vouched(&signed(1, &stranger)).await.unwrap().unwrap_err().0.contains("no rule"));
    let accounts = ledger.store.accounts().await.unwrap();
    assert_eq!(accounts.len(), 1);
    ledger.store.disable_account(accounts[0].id).await.unwrap();
    let ended = holders.vouched(&signed(1, &moved)).await.unwrap();
    assert!(ended.unwrap_err().0.contains("taken back"));
}

/// A ledger whose provider is played, and what it says of a person: which groups, and when that was issued.
async fn with_provider() -> (Ledger, StoredHolders) {
    let by = played();
    let ledger = Ledger::new(|clock| Some(Provider::asked_by(read(&config()), clock, by))).await;
    let holders = StoredHolders::new(Arc::clone(&ledger.identity));
    (ledger, holders)
}

fn said(groups: &[&str], issued: i64) -> String {
    let site =
        json!({"groups": groups, "org": "B", "trials": ["T-1"], "iat": issued, "exp": SECONDS + 9_000});
    signed(1, &with(&site))
}

/// The role that a token is let in with, or why it is not.
async fn role(holders: &StoredHolders, jwt: &str) -> String {
    match holders.vouched(jwt).await.unwrap() {
        Ok(principal) => principal.role.to_string(),
        Err(refused) => refused.0.to_owned(),
    }
}

#[tokio::test]
async fn a_role_that_the_provider_gives_no_more_ends_with_its_sessions_until_it_is_given_again() {
    let (ledger, holders) = with_provider().await;
    let begun = || async {
        let account = ledger.store.accounts().await.unwrap().remove(0);
        ledger.identity.begin_session(&account).await.unwrap().hash()
    };
    assert_eq!(role(&holders, &said(&["monitors"], SECONDS - 90)).await, "monitor");
    let session = begun().await;
    assert!(holders.session(&session).await.unwrap().is_some());
    let before = ledger.store.accounts().await.unwrap().remove(0);
    for _ in 0..2 {
        let gone = role(&holders, &said(&["others"], SECONDS - 80)).await;
        assert!(gone.contains("no rule"), "{gone}");
    }
    assert!(holders.session(&session).await.unwrap().is_none());
    assert_eq!(ledger.kinds().await, ["role.granted", "role.revoked"]);
    // A login that had begun before comes to nothing, now and once there is a role again.
    let late = ledger.identity.begin_session(&before).await.unwrap().hash();
    assert!(holders.session(&late).await.unwrap().is_none());
    let refused = role(&holders, &said(&["monitors"], SECONDS - 80)).await;
    assert!(refused.contains("said something else"), "{refused}");

    assert_eq!(role(&holders, &said(&["monitors"], SECONDS - 70)).await, "monitor");
    assert!(holders.session(&late).await.unwrap().is_none());
    assert!(holders.session(&begun().await).await.unwrap().is_some());
    assert!(role(&holders, &said(&[], SECONDS - 60)).await.contains("no rule"));
    let told = ["role.granted", "role.revoked", "role.granted", "role.revoked"];
    assert_eq!(ledger.kinds().await, told);
    assert_eq!(ledger.store.accounts().await.unwrap().len(), 1);
    ledger.identity.sweep().await.unwrap();
    assert_eq!(ledger.kinds().await, told, "the record knows");
}

#[tokio::test]
async fn a_withdrawn_role_that_a_crash_kept_from_the_record_is_told_by_the_sweep_and_before_the_next_role() {
    for by_sweep in [true, false] {
        let (ledger, holders) = with_provider().await;
        assert_eq!(role(&holders, &said(&["monitors"], SECONDS - 90)).await, "monitor");
        let account = ledger.store.accounts().await.unwrap().remove(0);
        ledger.store.withdraw_account(account.id, SECONDS - 80).await.unwrap();
        if by_sweep {
            ledger.identity.sweep().await.unwrap();
            assert_eq!(ledger.kinds().await, ["role.granted", "role.revoked"]);
        }
        assert_eq!(role(&holders, &said(&["monitors"], SECONDS - 70)).await, "monitor");
        assert_eq!(ledger.kinds().await, ["role.granted", "role.revoked", "role.granted"]);
    }
}

#[tokio::test]
async fn an_older_token_changes_nothing() {
    let (ledger, holders) = with_provider().await;
    let (monitor, site) = (["monitors"].as_slice(), ["sites"].as_slice());
    assert_eq!(role(&holders, &said(monitor, SECONDS - 90)).await, "monitor");
    assert_eq!(role(&holders, &said(site, SECONDS - 80)).await, "investigator");
    let refused = "the provider has said something else of its holder since: get a new one";
    assert_eq!(role(&holders, &said(monitor, SECONDS - 90)).await, refused);
    assert_eq!(role(&holders, &said(monitor, SECONDS - 80)).await, refused, "of the same second");
    assert_eq!(role(&holders, &said(site, SECONDS - 85)).await, "investigator", "it says what stands");
    assert!(role(&holders, &said(&[], SECONDS - 81)).await.contains("no rule"));
    assert_eq!(role(&holders, &said(site, SECONDS - 80)).await, "investigator", "it has not ended");
    // Of two words that say the same the newer one is remembered.
    assert_eq!(role(&holders, &said(site, SECONDS - 60)).await, "investigator");
    assert_eq!(role(&holders, &said(monitor, SECONDS - 70)).await, refused);
    let timeless = with(&json!({"iat": null}));
    assert_eq!(role(&holders, &signed(1, &timeless)).await, refused, "nobody knows when it was issued");
    assert_eq!(role(&holders, &said(monitor, SECONDS - 50)).await, "monitor");
    let told = ["role.granted", "role.revoked", "role.granted", "role.revoked", "role.granted"];
    assert_eq!(ledger.kinds().await, told);
}

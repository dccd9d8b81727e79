//! Logging in, sessions and the record of it, on a ledger in memory whose clock stands still.

use std::sync::Arc;

use trialseal_access::http::Holders;
use trialseal_record::Role;
use trialseal_store::{AccountRow, Accounts, Known, Tokens};
use zeroize::Zeroizing;

use crate::accounts::{NewAccount, add_and_invite};
use crate::login::Login;
use crate::testing::{HOME, Ledger};
use crate::tokens::NewToken;
use crate::{StoredHolders, first_administrator, invitation_for};

const PASSWORD: &str = "plum orbit lantern";

fn secret(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

async fn ledger() -> Ledger {
    Ledger::new(|_| None).await
}

fn new(login: &str) -> NewAccount {
    NewAccount {
        login: login.to_owned(),
        role: "monitor".to_owned(),
        organisation: "CRO".to_owned(),
        actor: Some(format!("person-{login}")),
        trials: None,
        participant: None,
    }
}

/// An account whose holder has chosen a password.
async fn account(ledger: &Ledger, login: &str) -> AccountRow {
    let identity = &ledger.identity;
    let (ids, now) = (identity.parts.ids.as_ref(), identity.parts.clock.now());
    let row = new(login).make(ids).unwrap();
    let invited = add_and_invite(ledger.store.as_ref(), ids, now, row).await.unwrap();
    let found = identity.invited(invited.secret.reveal()).await.unwrap().unwrap();
    assert!(identity.choose_password(found, secret(PASSWORD)).await.unwrap());
    ledger.store.account(invited.account.id).await.unwrap().unwrap()
}

async fn log_in(ledger: &Ledger, login: &str, password: &str) -> Login {
    ledger.identity.log_in(login, secret(password), HOME).await.unwrap()
}

async fn cookie(ledger: &Ledger, login: &str) -> [u8; 32] {
    let Login::In(cookie) = log_in(ledger, login, PASSWORD).await else { panic!("they are not let in") };
    cookie.hash()
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it_and_in_any_case() {
    let ledger = ledger().await;
    account(&ledger, "a").await;
    let holders = StoredHolders::new(Arc::clone(&ledger.identity));
    let idle = cookie(&ledger, "a").await;
    assert_eq!(holders.session(&idle).await.unwrap().unwrap().actor, "person-a");
    ledger.wait_seconds(3_599);
    assert!(holders.session(&idle).await.unwrap().is_some());
    ledger.wait_seconds(3_600);
    assert!(holders.session(&idle).await.unwrap().is_none(), "an hour without use");

    let busy = cookie(&ledger, "a").await;
    for _ in 0..23 {
        ledger.wait_seconds(1_800);
        assert!(holders.session(&busy).await.unwrap().is_some());
    }
    ledger.wait_seconds(1_800);
    assert!(holders.session(&busy).await.unwrap().is_none(), "twelve hours");
    ledger.identity.end_outdated().await.unwrap();
    assert_eq!(ledger.store.session(&busy).await.unwrap(), None);
}

#[tokio::test]
async fn a_session_that_begins_while_the_password_is_replaced_is_over() {
    let ledger = ledger().await;
    let identity = &ledger.identity;
    let before = account(&ledger, "a").await;
    let (ids, now) = (identity.parts.ids.as_ref(), identity.parts.clock.now());
    let invited = invitation_for(ledger.store.as_ref(), ids, now, "a").await.unwrap();
    let found = identity.invited(invited.secret.reveal()).await.unwrap().unwrap();
    assert!(identity.choose_password(found, secret("another lantern")).await.unwrap());
    // Whoever logged in had their password checked before that.
    let late = identity.begin_session(&before).await.unwrap().hash();
    let holders = StoredHolders::new(Arc::clone(identity));
    assert!(holders.session(&late).await.unwrap().is_none());
    let Login::In(cookie) = log_in(&ledger, "a", "another lantern").await else { panic!("not let in") };
    assert!(holders.session(&cookie.hash()).await.unwrap().is_some());
}

#[tokio::test]
async fn an_invitation_has_its_time() {
    let ledger = ledger().await;
    let identity = &ledger.identity;
    let ids = identity.parts.ids.as_ref();
    let row = new("late").make(ids).unwrap();
    let invited = add_and_invite(ledger.store.as_ref(), ids, identity.parts.clock.now(), row).await.unwrap();
    ledger.wait_seconds(3 * 86_400 - 1);
    assert!(identity.invited(invited.secret.reveal()).await.unwrap().is_some());
    ledger.wait_seconds(1);
    assert!(identity.invited(invited.secret.reveal()).await.unwrap().is_none());
    assert!(identity.invited("ts_").await.unwrap().is_none());
    assert!(matches!(log_in(&ledger, "late", "").await, Login::Refused), "there is no password yet");
}

#[tokio::test]
async fn a_lock_out_runs_out_and_the_record_tells_it_once() {
    let ledger = ledger().await;
    account(&ledger, "a").await;
    for _ in 0..5 {
        assert!(matches!(log_in(&ledger, "a", "wrong").await, Login::Refused));
    }
    assert!(matches!(log_in(&ledger, "a", PASSWORD).await, Login::Wait(1)));
    ledger.wait_seconds(1);
    assert!(matches!(log_in(&ledger, "a", PASSWORD).await, Login::In(_)));
    assert!(matches!(log_in(&ledger, "nobody", "x").await, Login::Refused));
    let before = ledger.kinds().await.len();
    ledger.identity.record_failures().await.unwrap();
    ledger.identity.record_failures().await.unwrap();
    let kinds = ledger.kinds().await;
    assert_eq!(kinds[before..], ["login.failed"]);
    assert!(matches!(log_in(&ledger, "a", "wrong").await, Login::Refused));
    ledger.identity.record_failures().await.unwrap();
    assert_eq!(ledger.kinds().await[before..], ["login.failed", "login.failed"]);
}

#[tokio::test]
async fn a_password_hashed_with_other_parameters_is_hashed_anew_at_the_next_login() {
    use argon2::password_hash::PasswordHasher as _;
    let ledger = ledger().await;
    let row = account(&ledger, "a").await;
    let weaker = argon2::Params::new(8192, 1, 1, None).unwrap();
    let weaker = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, weaker);
    let old = weaker.hash_password_with_salt(PASSWORD.as_bytes(), &[7; 16]).unwrap().to_string();
    assert!(ledger.store.change_password(row.id, row.password.as_deref().unwrap(), &old).await.unwrap());
    assert!(matches!(log_in(&ledger, "a", "wrong").await, Login::Refused));
    let stored = async || ledger.store.account(row.id).await.unwrap().unwrap().password.unwrap();
    assert_eq!(stored().await, old);
    cookie(&ledger, "a").await;
    let renewed = stored().await;
    assert!(renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{renewed}");
    cookie(&ledger, "a").await;
    assert_eq!(stored().await, renewed);
}

#[tokio::test]
async fn the_record_hears_of_a_token_once_before_it_counts_and_of_its_end() {
    let ledger = ledger().await;
    let (ids, clock) = (ledger.identity.parts.ids.as_ref(), &ledger.clock);
    let new = NewToken {
        actor: "edc".into(),
        role: "investigator".into(),
        organisation: "Site".into(),
        source_system: None,
        trials: None,
        participant: None,
        expires_in_days: Some(1),
    };
    let (token, row) = new.clone().make(ids, trialseal_runtime::clock::Clock::now(clock.as_ref())).unwrap();
    ledger.store.add_token(&row).await.unwrap();
    let holders = Arc::new(StoredHolders::new(Arc::clone(&ledger.identity)));
    let asks: Vec<_> = (0..8)
        .map(|_| {
            let (holders, hash) = (Arc::clone(&holders), token.hash());
            tokio::spawn(async move { holders.holder(&hash).await.unwrap().unwrap() })
        })
        .collect();
    for ask in asks {
        assert_eq!(ask.await.unwrap().role, Role::Investigator);
    }
    assert_eq!(ledger.kinds().await, ["role.granted"]);
    ledger.wait_seconds(86_400);
    assert!(holders.holder(&token.hash()).await.unwrap().is_none(), "its day is over");

    // What nobody has used, and what was taken back on the server, the sweep tells.
    let (unused, row) = new.make(ids, 0).unwrap();
    ledger.store.add_token(&row).await.unwrap();
    ledger.store.revoke_token(&unused.hash()).await.unwrap();
    ledger.identity.sweep().await.unwrap();
    ledger.identity.sweep().await.unwrap();
    assert_eq!(ledger.kinds().await, ["role.granted", "role.granted", "role.revoked"]);
    assert_eq!(ledger.store.tokens_with(&[unused.hash()]).await.unwrap()[0].known, Known::Revoked);
}

#[tokio::test]
async fn there_is_a_first_administrator_once_even_where_they_are_disabled() {
    let ledger = ledger().await;
    let ids = ledger.identity.parts.ids.as_ref();
    let first =
        first_administrator(ledger.store.as_ref(), ids, 0, NewAccount { role: "admin".into(), ..new("a") });
    let first = first.await.unwrap();
    ledger.store.disable_account(first.account.id).await.unwrap();
    let second = NewAccount { role: "admin".into(), ..new("b") };
    let said = first_administrator(ledger.store.as_ref(), ids, 0, second).await.unwrap_err().to_string();
    assert!(said.contains("there is an administrator already"), "{said}");
}

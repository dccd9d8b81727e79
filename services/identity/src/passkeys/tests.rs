//! Passkeys of accounts, on a ledger in memory, with a software authenticator.

use trialseal_runtime::problem::Problem;
use trialseal_seal::authenticator::Authenticator;
use trialseal_store::{AccountRow, Accounts};
use zeroize::Zeroizing;

use super::{Act, Answered, NewPasskey, Parts};
use crate::accounts::{Invited, NewAccount, add_and_invite, invitation_for};
use crate::forms::LoggedIn;
use crate::login::{Login, Shown};
use crate::sessions::principal_of;
use crate::testing::{HOME, Ledger};

const PASSWORD: &str = "plum orbit lantern";
const PUBLIC: &str = "https://ledger.example.org";

async fn ledger() -> Ledger {
    Ledger::new(|_| None).await
}

async fn invited(ledger: &Ledger, login: &str) -> Invited {
    let new = NewAccount {
        login: login.to_owned(),
        role: "monitor".to_owned(),
        organisation: "CRO".to_owned(),
        actor: Some(format!("person-{login}")),
        participant: None,
        trials: None,
    };
    let parts = &ledger.identity.parts;
    let row = new.make(parts.ids.as_ref()).unwrap();
    add_and_invite(ledger.store.as_ref(), parts.ids.as_ref(), parts.clock.now(), row).await.unwrap()
}

/// Somebody who has chosen a password and has just logged in with it.
async fn holder(ledger: &Ledger, login: &str) -> LoggedIn {
    let invited = invited(ledger, login).await;
    let found = ledger.identity.invited(invited.secret.reveal()).await.unwrap().unwrap();
    assert!(ledger.identity.choose_password(found, secret(PASSWORD)).await.unwrap());
    let login = ledger.identity.log_in(login, secret(PASSWORD), HOME).await.unwrap();
    of_session(ledger, &login).await
}

async fn of_session(ledger: &Ledger, login: &Login) -> LoggedIn {
    let Login::In(cookie) = login else { panic!("they are not let in") };
    let (session, account) = ledger.identity.session_of(&cookie.hash()).await.unwrap().unwrap();
    LoggedIn { principal: principal_of(&account).unwrap(), account, session, form_token: String::new() }
}

fn secret(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

fn answer_to(ledger: &Ledger, key: &Authenticator, act: Act, nonce: String) -> Answered {
    let answer = key.answer(&ledger.identity.statement(act, &nonce));
    let answer: Parts = serde_json::from_value(answer).unwrap();
    Answered { nonce, credential: key.credential(), answer }
}

/// What a passkey answers when it is asked now.
fn answered(ledger: &Ledger, key: &Authenticator, act: Act) -> Answered {
    answer_to(ledger, key, act, ledger.identity.challenge())
}

fn new(ledger: &Ledger, key: &Authenticator) -> NewPasskey {
    let ([x, y], answered) = (key.coordinates(), answered(ledger, key, Act::Register));
    NewPasskey { label: " Phone ".to_owned(), x, y, answered }
}

/// Somebody whose account has that passkey.
async fn with_passkey(ledger: &Ledger, login: &str, key: &Authenticator) -> LoggedIn {
    let holder = holder(ledger, login).await;
    ledger.identity.add_passkey(&holder, new(ledger, key)).await.unwrap();
    holder
}

async fn log_in(ledger: &Ledger, answered: &Answered) -> Login {
    ledger.identity.log_in_by_passkey(answered, HOME).await.unwrap()
}

fn status(result: Result<(), Problem>) -> u16 {
    result.map_or_else(|problem| problem.kind.status(), |()| 200)
}

#[tokio::test]
async fn a_passkey_logs_its_holder_in() {
    let ledger = ledger().await;
    let key = Authenticator::new(1);
    let holder = with_passkey(&ledger, "a", &key).await;
    let own = ledger.store.passkeys_of(holder.account.id).await.unwrap();
    assert_eq!((own.len(), own[0].label.as_str()), (1, "Phone"));
    let kinds = ledger.kinds().await;
    assert_eq!(kinds.last().map(String::as_str), Some("account.passkey-registered"), "{kinds:?}");
    let login = log_in(&ledger, &answered(&ledger, &key, Act::LogIn)).await;
    assert_eq!(of_session(&ledger, &login).await.principal.actor, "person-a");
}

#[tokio::test]
async fn an_answer_is_taken_once_in_time_and_for_its_act() {
    let ledger = ledger().await;
    let key = Authenticator::new(1);
    with_passkey(&ledger, "a", &key).await;
    let replayed = answered(&ledger, &key, Act::LogIn);
    assert!(matches!(log_in(&ledger, &replayed).await, Login::In(_)));
    assert!(matches!(log_in(&ledger, &replayed).await, Login::Refused), "a second time");
    for act in [Act::Confirm, Act::Register] {
        assert!(matches!(log_in(&ledger, &answered(&ledger, &key, act)).await, Login::Refused), "{act:?}");
    }
    let made_up = answer_to(&ledger, &key, Act::LogIn, "bm9uY2U".to_owned());
    assert!(matches!(log_in(&ledger, &made_up).await, Login::Refused), "a nonce of their own");
    let late = answered(&ledger, &key, Act::LogIn);
    ledger.wait_seconds(300);
    assert!(matches!(log_in(&ledger, &late).await, Login::Refused), "after five minutes");
}

#[tokio::test]
async fn whoever_does_not_answer_as_they_should_is_kept_out_and_recorded() {
    let ledger = ledger().await;
    let key = Authenticator::new(1);
    with_passkey(&ledger, "a", &key).await;
    let spoilt = |change: fn(&mut Authenticator)| {
        let mut spoilt = key.clone();
        change(&mut spoilt);
        answered(&ledger, &spoilt, Act::LogIn)
    };
    let mut somebody_elses = answered(&ledger, &Authenticator::new(2), Act::LogIn);
    somebody_elses.credential = key.credential();
    for wrong in [
        spoilt(|it| it.origin = "https://evil.test".into()),
        spoilt(|it| it.relying_party = "evil.test".into()),
        spoilt(|it| it.flags = 0x01),
        somebody_elses,
        answered(&ledger, &Authenticator::new(3), Act::LogIn),
    ] {
        assert!(matches!(log_in(&ledger, &wrong).await, Login::Refused), "{wrong:?}");
    }
    let before = ledger.kinds().await.len();
    ledger.identity.record_failures().await.unwrap();
    assert_eq!(ledger.kinds().await[before..], ["login.failed"]);
    assert!(matches!(log_in(&ledger, &answered(&ledger, &key, Act::LogIn)).await, Login::In(_)));
    for _ in 0..5 {
        let wrong = spoilt(|it| it.flags = 0x01);
        assert!(matches!(log_in(&ledger, &wrong).await, Login::Refused));
    }
    let right = answered(&ledger, &key, Act::LogIn);
    assert!(matches!(log_in(&ledger, &right).await, Login::Wait(1)), "as with passwords");
}

#[tokio::test]
async fn a_page_of_another_origin_of_the_same_domain_is_not_ours() {
    let ledger = Ledger::at(Some(PUBLIC), |_| None).await;
    let mut key = Authenticator::new(1);
    (key.relying_party, key.origin) = ("ledger.example.org".to_owned(), PUBLIC.to_owned());
    with_passkey(&ledger, "a", &key).await;
    for elsewhere in ["https://evil.ledger.example.org", "https://ledger.example.org:8443"] {
        let mut there = key.clone();
        there.origin = elsewhere.to_owned();
        let answered = answered(&ledger, &there, Act::LogIn);
        assert!(matches!(log_in(&ledger, &answered).await, Login::Refused), "{elsewhere}");
    }
    assert!(matches!(log_in(&ledger, &answered(&ledger, &key, Act::LogIn)).await, Login::In(_)));
}

#[tokio::test]
async fn a_removed_passkey_and_that_of_a_disabled_account_log_nobody_in() {
    let ledger = ledger().await;
    let (key, other) = (Authenticator::new(1), Authenticator::new(2));
    let holder = with_passkey(&ledger, "a", &key).await;
    let theirs = with_passkey(&ledger, "b", &other).await;
    let remove =
        async |of: &Authenticator| status(ledger.identity.remove_passkey(&holder, &of.credential()).await);
    assert_eq!(remove(&other).await, 404, "somebody else's");
    assert_eq!(remove(&key).await, 200);
    assert!(matches!(log_in(&ledger, &answered(&ledger, &key, Act::LogIn)).await, Login::Refused));
    assert_eq!(ledger.kinds().await.last().map(String::as_str), Some("account.passkey-removed"));
    assert_eq!(ledger.store.passkeys_of(holder.account.id).await.unwrap(), []);

    ledger.store.disable_account(theirs.account.id).await.unwrap();
    assert!(matches!(log_in(&ledger, &answered(&ledger, &other, Act::LogIn)).await, Login::Refused));
}

#[tokio::test]
async fn what_a_crash_left_unrecorded_the_sweep_tells() {
    let ledger = ledger().await;
    let key = Authenticator::new(1);
    let holder = with_passkey(&ledger, "a", &key).await;
    assert!(ledger.store.end_passkey(holder.account.id, &key.credential()).await.unwrap());
    assert!(matches!(log_in(&ledger, &answered(&ledger, &key, Act::LogIn)).await, Login::Refused));
    for _ in 0..2 {
        ledger.identity.sweep().await.unwrap();
    }
    let kinds = ledger.kinds().await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "account.passkey-removed").count(), 1, "{kinds:?}");
    assert_eq!(ledger.store.passkeys().await.unwrap(), []);
}

#[tokio::test]
async fn what_somebody_logs_in_by_is_changed_soon_after_they_have_shown_who_they_are() {
    let ledger = ledger().await;
    let key = Authenticator::new(1);
    let mut holder = with_passkey(&ledger, "a", &key).await;
    ledger.wait_seconds(300);
    let added = ledger.identity.add_passkey(&holder, new(&ledger, &Authenticator::new(2))).await;
    assert_eq!(status(added), 403);
    assert_eq!(status(ledger.identity.remove_passkey(&holder, &key.credential()).await), 403);
    let confirm = answered(&ledger, &key, Act::Confirm);
    let shown = ledger.identity.by_passkey(Act::Confirm, &confirm, HOME).await.unwrap();
    let Shown::Account(account) = shown else { panic!("it is theirs") };
    assert_eq!(account.id, holder.account.id);
    let now = ledger.identity.parts.clock.now();
    ledger.store.confirm_session(&holder.session.hash, now).await.unwrap();
    let (session, _) = ledger.identity.session_of(&holder.session.hash).await.unwrap().unwrap();
    holder.session = session;
    assert_eq!(status(ledger.identity.remove_passkey(&holder, &key.credential()).await), 200);
}

#[tokio::test]
async fn only_whoever_has_a_passkey_adds_it_and_to_one_account() {
    let ledger = ledger().await;
    let (key, other) = (Authenticator::new(1), Authenticator::new(2));
    with_passkey(&ledger, "a", &key).await;
    let holder = holder(&ledger, "b").await;
    let add = |new| ledger.identity.add_passkey(&holder, new);
    let mut not_theirs = new(&ledger, &other);
    [not_theirs.x, not_theirs.y] = key.coordinates();
    assert_eq!(status(add(not_theirs).await), 403, "a key that did not answer");
    let mut no_name = new(&ledger, &other);
    no_name.label = " ".to_owned();
    assert_eq!(status(add(no_name).await), 422);
    assert_eq!(status(add(new(&ledger, &key)).await), 409, "another account's");
    assert_eq!(ledger.store.passkeys_of(holder.account.id).await.unwrap(), []);
}

#[tokio::test]
async fn an_invitation_is_taken_up_with_a_passkey_instead_of_a_password() {
    let ledger = ledger().await;
    let (key, next) = (Authenticator::new(1), Authenticator::new(2));
    let invited = invited(&ledger, "a").await;
    let take_up = async |secret: &str, key: &Authenticator| {
        let found = ledger.identity.invited(secret).await.unwrap().unwrap();
        ledger.identity.choose_passkey(found, new(&ledger, key)).await.unwrap()
    };
    assert!(take_up(invited.secret.reveal(), &key).await);
    assert!(ledger.identity.invited(invited.secret.reveal()).await.unwrap().is_none(), "it worked once");
    let login = log_in(&ledger, &answered(&ledger, &key, Act::LogIn)).await;
    let holder = of_session(&ledger, &login).await;
    assert_eq!(holder.account.password, None);
    let removed = ledger.identity.remove_passkey(&holder, &key.credential()).await;
    assert_eq!(status(removed), 409, "they would log in by nothing");

    // Whoever has lost it gets another link, and nothing of before counts.
    let parts = &ledger.identity.parts;
    let again = invitation_for(ledger.store.as_ref(), parts.ids.as_ref(), parts.clock.now(), "a").await;
    assert!(take_up(again.unwrap().secret.reveal(), &next).await);
    assert!(matches!(log_in(&ledger, &answered(&ledger, &key, Act::LogIn)).await, Login::Refused));
    assert!(ledger.identity.session_of(&holder.session.hash).await.unwrap().is_none());
    assert!(matches!(log_in(&ledger, &answered(&ledger, &next, Act::LogIn)).await, Login::In(_)));
}

#[tokio::test]
async fn a_passkey_is_not_added_to_an_account_that_was_taken_over_meanwhile() {
    let ledger = ledger().await;
    let holder = holder(&ledger, "a").await;
    let parts = &ledger.identity.parts;
    let invited = invitation_for(ledger.store.as_ref(), parts.ids.as_ref(), parts.clock.now(), "a").await;
    let found = ledger.identity.invited(invited.unwrap().secret.reveal()).await.unwrap().unwrap();
    assert!(ledger.identity.choose_password(found, secret("another lantern")).await.unwrap());
    let added = ledger.identity.add_passkey(&holder, new(&ledger, &Authenticator::new(1))).await;
    assert_eq!(status(added), 409);
    let AccountRow { id, .. } = holder.account;
    assert_eq!(ledger.store.passkeys_of(id).await.unwrap(), []);
}

//! Accounts, invitations, sessions and passkeys.

use std::sync::Arc;

use uuid::Uuid;

use super::fixture::{bytes, trial};
use crate::Store;
use crate::rows::{AccountRow, Chosen, InvitationRow, Known, PasskeyRow, SessionRow};

fn account(number: u128, login: Option<&str>, subject: Option<(&str, &str)>) -> AccountRow {
    AccountRow {
        id: Uuid::from_u128(number),
        login: login.map(str::to_owned),
        subject: subject.map(|(issuer, subject)| (issuer.to_owned(), subject.to_owned())),
        actor: format!("person-{number}"),
        role: "monitor".into(),
        organisation: "Zürich".into(),
        trials: Some(vec![trial("T"), trial("U.1")]),
        participant: None,
        password: None,
        disabled: false,
        known: Known::Not,
        issued: 100,
        withdrawn: false,
        epoch: 0,
    }
}

/// An account is found by id, login name and subject; none takes what another has; each change changes that alone.
pub async fn accounts_have_one_name_and_one_subject(store: Arc<dyn Store>) {
    let one = account(1, Some("one"), None);
    let two = AccountRow { trials: None, ..account(2, None, Some(("https://a", "s"))) };
    assert!(store.add_account(&one).await.unwrap() && store.add_account(&two).await.unwrap());
    for taken in [
        account(3, Some("one"), None),
        account(3, None, Some(("https://a", "s"))),
        account(1, Some("other"), None),
    ] {
        assert!(!store.add_account(&taken).await.unwrap());
    }
    let three = account(3, None, Some(("https://b", "s")));
    assert!(store.add_account(&three).await.unwrap());
    assert_eq!(store.accounts().await.unwrap(), [one.clone(), two.clone(), three.clone()]);
    assert_eq!(store.account(two.id).await.unwrap(), Some(two.clone()));
    assert_eq!(store.account_of_login("one").await.unwrap(), Some(one.clone()));
    assert_eq!(store.account_of_login("two").await.unwrap(), None);
    assert_eq!(store.account_of_subject("https://b", "s").await.unwrap(), Some(three.clone()));

    let moved = AccountRow {
        role: "irb".into(),
        organisation: "Bern".into(),
        trials: None,
        known: Known::Granted,
        issued: 200,
        ..three.clone()
    };
    store.move_account(&moved).await.unwrap();
    assert_eq!(store.account(three.id).await.unwrap(), Some(moved.clone()));
    for issued in [300, 250] {
        store.confirm_account(three.id, issued).await.unwrap();
    }
    assert_eq!(store.account(three.id).await.unwrap(), Some(AccountRow { issued: 300, ..moved }));
    store.note_account(one.id, Known::Granted).await.unwrap();
    store.note_account(one.id, Known::Not).await.unwrap();
    assert!(!store.change_password(one.id, "", "new").await.unwrap());
    assert!(store.disable_account(one.id).await.unwrap());
    assert!(!store.disable_account(Uuid::from_u128(9)).await.unwrap());
    let disabled = AccountRow { disabled: true, known: Known::Granted, ..one.clone() };
    assert_eq!(store.account(one.id).await.unwrap(), Some(disabled));
}

/// The newest invitation of an account counts, and counts once; it sets the password and ends the sessions.
pub async fn an_invitation_is_taken_up_once(store: Arc<dyn Store>) {
    let one = account(1, Some("one"), None);
    store.add_account(&one).await.unwrap();
    let invitation = |number| InvitationRow { hash: bytes(number), account: one.id, expires: 50 };
    store.invite(&invitation(1)).await.unwrap();
    store.invite(&invitation(2)).await.unwrap();
    assert_eq!(store.invitation(&bytes(1)).await.unwrap(), None);
    assert_eq!(store.invitation(&bytes(2)).await.unwrap(), Some(invitation(2)));
    let session =
        SessionRow { hash: bytes(7), account: one.id, seen: 1, expires: 100, epoch: 0, confirmed: 1 };
    store.begin_session(&session).await.unwrap();
    assert!(!store.take_up(&invitation(1), &Chosen::Password("wrong".into())).await.unwrap());
    assert_eq!(store.session(&bytes(7)).await.unwrap(), Some(session));

    let takes: Vec<_> = (0..4)
        .map(|_| {
            let (store, invitation) = (Arc::clone(&store), invitation(2));
            tokio::spawn(async move {
                store.take_up(&invitation, &Chosen::Password("hash-1".into())).await.unwrap()
            })
        })
        .collect();
    let mut taken = 0;
    for take in takes {
        taken += usize::from(take.await.unwrap());
    }
    assert_eq!(taken, 1);
    assert_eq!(store.session(&bytes(7)).await.unwrap(), None);
    let taken_up = store.account(one.id).await.unwrap().unwrap();
    assert_eq!(
        (taken_up.password.as_deref(), taken_up.epoch),
        (Some("hash-1"), 1),
        "sessions of before are over"
    );
    assert!(store.change_password(one.id, "hash-1", "hash-2").await.unwrap());
    assert!(!store.change_password(one.id, "hash-1", "hash-3").await.unwrap());
    let renewed = store.account(one.id).await.unwrap().unwrap();
    assert_eq!((renewed.password.as_deref(), renewed.epoch), (Some("hash-2"), 1), "it is the same password");
}

fn passkey(number: u8, account: u128) -> PasskeyRow {
    PasskeyRow {
        credential: format!("credential-{number}"),
        account: Uuid::from_u128(account),
        x: format!("x-{number}"),
        y: format!("y-{number}"),
        label: "Zürich".into(),
        added: 70,
        ended: false,
    }
}

/// A passkey is one account's, added while that is what it was; it is ended first and then removed.
pub async fn a_passkey_belongs_to_one_account(store: Arc<dyn Store>) {
    for number in 1..=2 {
        store.add_account(&account(number, Some(&format!("login-{number}")), None)).await.unwrap();
    }
    assert!(!store.add_passkey(&passkey(1, 1), 1).await.unwrap(), "of another epoch");
    assert!(!store.add_passkey(&passkey(1, 3), 0).await.unwrap(), "of no account");
    assert!(store.add_passkey(&passkey(1, 1), 0).await.unwrap());
    assert!(!store.add_passkey(&passkey(1, 2), 0).await.unwrap(), "its id is taken");
    assert!(store.add_passkey(&passkey(2, 2), 0).await.unwrap());
    assert!(store.add_passkey(&passkey(3, 1), 0).await.unwrap());
    assert_eq!(store.passkey("credential-1").await.unwrap(), Some(passkey(1, 1)));
    assert_eq!(store.passkey("credential-9").await.unwrap(), None);
    assert_eq!(store.passkeys().await.unwrap(), [passkey(1, 1), passkey(2, 2), passkey(3, 1)]);
    assert_eq!(store.passkeys_of(Uuid::from_u128(1)).await.unwrap(), [passkey(1, 1), passkey(3, 1)]);

    assert!(!store.end_passkey(Uuid::from_u128(2), "credential-1").await.unwrap(), "somebody else's");
    store.forget_passkey("credential-1").await.unwrap();
    assert!(store.end_passkey(Uuid::from_u128(1), "credential-1").await.unwrap());
    let ended = PasskeyRow { ended: true, ..passkey(1, 1) };
    assert_eq!(store.passkey("credential-1").await.unwrap(), Some(ended));
    store.forget_passkey("credential-1").await.unwrap();
    assert_eq!(store.passkey("credential-1").await.unwrap(), None);
    store.disable_account(Uuid::from_u128(1)).await.unwrap();
    assert!(!store.add_passkey(&passkey(1, 1), 0).await.unwrap(), "of a disabled account");
}

/// Whoever takes an invitation up logs in by what they chose, and by nothing of before.
pub async fn an_invitation_ends_what_was_logged_in_by(store: Arc<dyn Store>) {
    let password = |hash: &str| Chosen::Password(hash.into());
    let (one, two) = (account(1, Some("one"), None), account(2, Some("two"), None));
    let invitation = |number| InvitationRow { hash: bytes(number), account: one.id, expires: 60 };
    for account in [&one, &two] {
        store.add_account(account).await.unwrap();
    }
    store.invite(&invitation(1)).await.unwrap();
    assert!(store.take_up(&invitation(1), &password("hash-1")).await.unwrap());
    assert!(store.add_passkey(&passkey(1, 1), 1).await.unwrap());
    assert!(store.add_passkey(&passkey(2, 2), 0).await.unwrap());

    store.invite(&invitation(2)).await.unwrap();
    let taken = Chosen::Passkey(passkey(2, 1));
    assert!(!store.take_up(&invitation(2), &taken).await.unwrap(), "somebody else's passkey");
    let before = store.account(one.id).await.unwrap().unwrap();
    assert_eq!((before.password.as_deref(), before.epoch), (Some("hash-1"), 1), "nothing has changed");
    assert!(store.invitation(&bytes(2)).await.unwrap().is_some());
    // The same passkey as before is one that was chosen anew.
    assert!(store.take_up(&invitation(2), &Chosen::Passkey(passkey(1, 1))).await.unwrap());
    let after = store.account(one.id).await.unwrap().unwrap();
    assert_eq!((after.password, after.epoch), (None, 2));
    assert_eq!(store.passkeys_of(one.id).await.unwrap(), [passkey(1, 1)]);

    store.invite(&invitation(3)).await.unwrap();
    assert!(store.take_up(&invitation(3), &password("hash-2")).await.unwrap());
    assert_eq!(store.passkeys_of(one.id).await.unwrap(), []);
    assert_eq!(store.passkeys_of(two.id).await.unwrap(), [passkey(2, 2)], "somebody else's stays");
}

/// A session ends by itself, by somebody's doing, and with its account.
pub async fn sessions_end(store: Arc<dyn Store>) {
    for number in 1..=2 {
        store.add_account(&account(number, Some(&format!("login-{number}")), None)).await.unwrap();
    }
    let session = |number, account, seen, expires| SessionRow {
        hash: bytes(number),
        account: Uuid::from_u128(account),
        seen,
        expires,
        epoch: 3,
        confirmed: 10,
    };
    let (idle, over, ended, kept, disabled) = (
        session(1, 1, 10, 100),
        session(2, 1, 50, 60),
        session(3, 1, 50, 100),
        session(4, 1, 10, 100),
        session(5, 2, 50, 100),
    );
    for row in [&idle, &over, &ended, &kept, &disabled] {
        store.begin_session(row).await.unwrap();
    }
    store.invite(&InvitationRow { hash: bytes(1), account: Uuid::from_u128(1), expires: 60 }).await.unwrap();
    store.see_session(&kept.hash, 55).await.unwrap();
    store.see_session(&kept.hash, 20).await.unwrap();
    store.confirm_session(&kept.hash, 54).await.unwrap();
    store.end_session(&ended.hash).await.unwrap();
    store.disable_account(Uuid::from_u128(2)).await.unwrap();
    store.end_outdated(60, 50).await.unwrap();
    for row in [&idle, &over, &ended, &disabled] {
        assert_eq!(store.session(&row.hash).await.unwrap(), None);
    }
    assert_eq!(
        store.session(&kept.hash).await.unwrap(),
        Some(SessionRow { seen: 55, confirmed: 54, ..kept })
    );
    assert_eq!(store.invitation(&bytes(1)).await.unwrap(), None);
}

/// A role that the provider takes back ends the sessions, of now and those about to begin; given again, the account counts.
pub async fn a_withdrawn_account_has_no_sessions(store: Arc<dyn Store>) {
    let one = AccountRow { known: Known::Revoked, ..account(1, None, Some(("https://a", "s"))) };
    store.add_account(&one).await.unwrap();
    for account in [one.id, Uuid::from_u128(2)] {
        let hash = bytes(if account == one.id { 1 } else { 2 });
        store
            .begin_session(&SessionRow { hash, account, seen: 1, expires: 100, epoch: 0, confirmed: 1 })
            .await
            .unwrap();
    }
    store.withdraw_account(one.id, 200).await.unwrap();
    let withdrawn = AccountRow { issued: 200, withdrawn: true, epoch: 1, ..one.clone() };
    assert_eq!(store.account(one.id).await.unwrap(), Some(withdrawn));
    assert_eq!(store.session(&bytes(1)).await.unwrap(), None);
    assert!(store.session(&bytes(2)).await.unwrap().is_some(), "somebody else's");
    store.move_account(&AccountRow { issued: 300, ..one.clone() }).await.unwrap();
    let again = AccountRow { issued: 300, known: Known::Granted, epoch: 1, ..one.clone() };
    assert_eq!(store.account(one.id).await.unwrap(), Some(again));
}

/// Of several first administrators at once one is made, and none where there is one, however it came to be.
pub async fn one_of_many_first_administrators_is_made(store: Arc<dyn Store>) {
    let admin = |number: u128| AccountRow {
        role: "admin".into(),
        trials: None,
        issued: 0,
        ..account(number, Some(&format!("admin-{number}")), None)
    };
    let taken = AccountRow { login: Some("taken".into()), ..account(20, None, None) };
    store.add_account(&taken).await.unwrap();
    let other = AccountRow { login: taken.login, ..admin(21) };
    assert!(!store.add_first_administrator(&other).await.unwrap(), "the login name is taken");
    let adds: Vec<_> = (1..=8)
        .map(|number| {
            let (store, admin) = (Arc::clone(&store), admin(number));
            tokio::spawn(async move { store.add_first_administrator(&admin).await.unwrap() })
        })
        .collect();
    let mut added = 0;
    for add in adds {
        added += usize::from(add.await.unwrap());
    }
    let accounts = store.accounts().await.unwrap();
    let admins: Vec<_> = accounts.iter().filter(|account| account.role == "admin").collect();
    assert_eq!((added, admins.len()), (1, 1));
    let number = admins[0].id.as_u128();
    assert_eq!(*admins[0], admin(number), "as it was given");
    store.disable_account(admins[0].id).await.unwrap();
    assert!(!store.add_first_administrator(&admin(9)).await.unwrap());
}

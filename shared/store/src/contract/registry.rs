//! Jobs, tokens and the data keys of before.

use std::sync::Arc;

use trialseal_record::ParticipantId;
use uuid::Uuid;

use super::fixture::{bytes, trial};
use crate::rows::{JobRow, Known, TokenRow};
use crate::{Store, StoreError};

/// A job is replaced as it goes on, and listed with the open ones of its kind until it has ended.
pub async fn jobs_are_replaced_and_listed_while_open(store: Arc<dyn Store>) {
    let job = |id: u128, kind: &str| JobRow {
        id: Uuid::from_u128(id),
        kind: kind.to_owned(),
        trial: trial("T"),
        actor: "actor-1".into(),
        ended: false,
        detail: b"{\"rows\":0}\0".to_vec(),
    };
    for row in [job(u128::MAX, "import"), job(2, "import"), job(1, "export"), job(3, "import")] {
        store.put_job(&row).await.unwrap();
    }
    assert_eq!(store.job(Uuid::from_u128(1)).await.unwrap(), Some(job(1, "export")));
    assert_eq!(store.job(Uuid::from_u128(9)).await.unwrap(), None);
    let open = [job(2, "import"), job(3, "import"), job(u128::MAX, "import")];
    assert_eq!(store.open_jobs("import").await.unwrap(), open);

    let ended = JobRow { ended: true, detail: vec![], ..job(2, "import") };
    store.put_job(&ended).await.unwrap();
    assert_eq!(store.job(ended.id).await.unwrap(), Some(ended));
    assert_eq!(store.open_jobs("import").await.unwrap(), open[1..]);
    assert_eq!(store.open_jobs("other").await.unwrap(), []);
}

/// Tokens are found by hash, revoked or not, and listed by actor; none replaces another.
pub async fn tokens_are_kept_until_revoked(store: Arc<dyn Store>) {
    let token = |number, actor: &str, trials: Option<Vec<&str>>| TokenRow {
        hash: bytes(number),
        id: Uuid::from_u128(u128::from(number)),
        actor: actor.to_owned(),
        role: "monitor".into(),
        organisation: "An organisation, Zürich".into(),
        source_system: trials.as_ref().map(|_| "EDC 7".into()),
        trials: trials.map(|ids| ids.into_iter().map(trial).collect()),
        participant: None,
        expires: None,
        revoked: false,
        known: Known::Not,
    };
    let mut tokens =
        [token(3, "Z", None), token(1, "a", Some(vec!["T", "U.1", "_ledger"])), token(2, "b", Some(vec![]))];
    tokens[1].expires = Some(1_800_000_000_000_000);
    (tokens[0].role, tokens[0].participant) = ("participant".into(), Some(ParticipantId(Uuid::from_u128(9))));
    for row in tokens.iter().rev() {
        store.add_token(row).await.unwrap();
    }
    assert_eq!(store.tokens().await.unwrap(), tokens);
    for row in &tokens {
        assert_eq!(store.tokens_with(&[row.hash]).await.unwrap(), std::slice::from_ref(row));
    }
    let other = token(3, "someone else", None);
    assert!(matches!(store.add_token(&other).await, Err(StoreError::Refused(_))));
    assert!(store.revoke_token(&bytes(3)).await.unwrap());
    assert!(store.revoke_token(&bytes(3)).await.unwrap());
    assert!(!store.revoke_token(&bytes(4)).await.unwrap());
    let revoked = TokenRow { revoked: true, ..tokens[0].clone() };
    let mut some = store.tokens_with(&[bytes(1), bytes(4), bytes(3)]).await.unwrap();
    some.sort_by_key(|row| row.hash);
    assert_eq!(some, [tokens[1].clone(), revoked]);
    assert_eq!(store.tokens_with(&[]).await.unwrap(), []);
    let known = async || store.tokens_with(&[bytes(1)]).await.unwrap()[0].known;
    for (noted, is) in [(Known::Revoked, Known::Revoked), (Known::Granted, Known::Revoked)] {
        store.note_token(&bytes(1), noted).await.unwrap();
        assert_eq!(known().await, is);
    }
}

/// A ledger that never had data keys in its database has none to give away.
pub async fn no_data_key_lies_in_a_new_ledger(store: Arc<dyn Store>) {
    store.forget_former_data_keys().await.unwrap();
    assert_eq!(store.former_data_keys().await.unwrap(), []);
}

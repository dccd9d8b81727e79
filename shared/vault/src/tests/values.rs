use std::collections::HashSet;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{ORIGIN, key, participant};
use crate::{DataKey, VaultError};

const DATA: &[u8] = br#"{"weight":"70.5"}"#;

#[tokio::test]
async fn what_is_sealed_opens_again_whatever_its_size() {
    let key = key().await;
    for size in [0, 1, 15, 16, 17, 1000, 1 << 20] {
        let data: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
        let sealed = key.seal(b"event-1", &data).unwrap();
        assert_eq!(sealed.len(), size + 28);
        assert_eq!(*key.open(b"event-1", &sealed).unwrap(), data);
    }
}

#[tokio::test]
async fn no_nonce_comes_twice() {
    let key = key().await;
    let sealed: HashSet<_> = (0..1000).map(|_| key.seal(b"event-1", DATA).unwrap()[..12].to_vec()).collect();
    assert_eq!(sealed.len(), 1000);
}

#[tokio::test]
async fn a_changed_byte_anywhere_is_refused() {
    let key = key().await;
    let sealed = key.seal(b"event-1", DATA).unwrap();
    for at in 0..sealed.len() {
        for bit in [0x01, 0x80] {
            let mut changed = sealed.clone();
            changed[at] ^= bit;
            assert!(matches!(key.open(b"event-1", &changed), Err(VaultError::Refused)), "byte {at}");
        }
    }
    for length in 0..sealed.len() {
        assert!(key.open(b"event-1", &sealed[..length]).is_err(), "cut to {length}");
    }
    assert!(key.open(b"event-1", &[&sealed[..], &[0]].concat()).is_err());
}

#[tokio::test]
async fn it_opens_nowhere_but_where_it_was_sealed() {
    let scope = participant(1);
    let with = |id, origin: &str, byte| {
        DataKey::new(uuid::Uuid::from_u128(id), scope.clone(), Arc::from(origin), Zeroizing::new([byte; 32]))
    };
    let sealed = with(1, ORIGIN, 7).seal(b"event-1", DATA).unwrap();
    assert_eq!(with(1, ORIGIN, 7).open(b"event-1", &sealed).unwrap().as_slice(), DATA);
    assert!(with(1, ORIGIN, 7).open(b"event-2", &sealed).is_err(), "another context");
    assert!(with(2, ORIGIN, 7).open(b"event-1", &sealed).is_err(), "another key id");
    assert!(with(1, "ledger.example.org/other", 7).open(b"event-1", &sealed).is_err(), "another ledger");
    assert!(with(1, ORIGIN, 8).open(b"event-1", &sealed).is_err(), "another key");
    let shifted = with(1, &ORIGIN[1..], 7).open(&[b"event-1", &ORIGIN.as_bytes()[..1]].concat(), &sealed);
    assert!(shifted.is_err(), "the same bytes, cut at another place");
}

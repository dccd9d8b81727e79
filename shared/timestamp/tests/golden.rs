//! Tokens that OpenSSL made (`golden/make`), those that are refused among them, and every one of them damaged.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use trialseal_seal::hash::{Hash, sha256};
use trialseal_timestamp::{Authorities, Refused, Request, Stated, Token};

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

fn imprint() -> Hash {
    sha256(&file("note"))
}

fn authorities(name: &str) -> Authorities {
    Authorities::from_pem(&file(&format!("{name}-ca.pem"))).unwrap()
}

fn verify(reply: &[u8], authorities: &Authorities) -> Result<Stated, Refused> {
    Token::parse(reply)?.verify(imprint(), authorities)
}

#[test]
fn what_openssl_signed_is_accepted_and_says_what_openssl_says() {
    for (name, ca) in [
        ("rsa", "rsa"),
        ("rsa-sha1-name", "rsa"),
        ("pss", "rsa"),
        ("p256", "ec"),
        ("p384", "ec"),
        ("issued", "ec"),
        ("by-key-identifier", "ec"),
    ] {
        let stated = verify(&file(&format!("{name}.tsr")), &authorities(ca)).expect(name);
        assert!(stated.time.to_string().starts_with("2026-"), "{name}: {}", stated.time);
        assert_eq!((stated.accuracy, stated.policy.as_str()), (Some(1_500_000), "1.2.3.4.1"), "{name}");
        assert!(stated.authority.contains("O=Example\\, Inc."), "{name}: {}", stated.authority);
    }
    let stated = verify(&file("p256.tsr"), &authorities("ec")).unwrap();
    assert_eq!(stated.serial, "03");
}

#[test]
fn what_does_not_hold_is_refused_by_name() {
    let unreadable = |name: &str| verify(&file(name), &authorities("ec")).unwrap_err().code();
    for (name, code) in [
        // Extended key usage that is not critical, says more, or something else; key usage without signatures.
        ("uncritical", "timestamp-purpose"),
        ("two", "timestamp-purpose"),
        ("server", "timestamp-purpose"),
        ("agrees", "timestamp-purpose"),
        // Certificates that had run out, or had not begun.
        ("expired", "timestamp-chain"),
        ("early", "timestamp-chain"),
        ("uncertified", "timestamp-signer"),
        ("unnamed", "timestamp-attributes"),
        ("two-signers", "timestamp-signers"),
        ("data", "timestamp-malformed"),
        ("rejected", "timestamp-not-granted"),
        // Another authority's.
        ("rsa", "timestamp-chain"),
    ] {
        assert_eq!(unreadable(&format!("{name}.tsr")), code, "{name}");
    }
    assert_eq!(verify(&file("p256.tsr"), &authorities("other")).unwrap_err().code(), "timestamp-chain");
    let token = Token::parse(&file("p256.tsr")).unwrap();
    assert_eq!(token.verify(sha256(b"another note"), &authorities("ec")), Err(Refused::OtherImprint));
    assert_eq!(Token::parse(&vec![0x30; 1 << 20]), Err(Refused::TooLarge));
    assert!(Refused::TooLarge.is_own_limit() && !Refused::Signature.is_own_limit());
}

#[test]
fn an_answer_to_another_request_is_refused() {
    let reply = file("p256.tsr");
    let authorities = authorities("ec");
    let nonce = verify(&reply, &authorities).unwrap().nonce;
    let mut nonce: [u8; 8] = [vec![0; 8 - nonce.len()], nonce].concat().try_into().unwrap();
    Request::new(imprint(), nonce).verify(&reply, &authorities).unwrap();
    let other = Request::new(sha256(b"another note"), nonce);
    assert_eq!(other.verify(&reply, &authorities), Err(Refused::OtherImprint));
    nonce[7] ^= 1;
    assert_eq!(Request::new(imprint(), nonce).verify(&reply, &authorities), Err(Refused::OtherNonce));
}

#[test]
fn a_request_is_what_rfc_3161_says() {
    let request = Request::new(imprint(), [0, 0, 0x80, 1, 2, 3, 4, 5]).encode().unwrap();
    let mut expected =
        vec![0x30, 0x42, 2, 1, 1, 0x30, 0x31, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0];
    expected.extend([4, 32]);
    expected.extend(imprint().as_bytes());
    // A nonce is no negative number and has no zeros in front; then certReq.
    expected.extend([2, 7, 0, 0x80, 1, 2, 3, 4, 5, 1, 1, 0xff]);
    expected[1] = u8::try_from(expected.len() - 2).unwrap();
    assert_eq!(request, expected);
    Request::new(imprint(), [0; 8]).encode().unwrap();
}

/// Whatever is changed, nothing is accepted that says anything else. Some bytes nobody signs: those of a root that comes
/// along, which is not used.
#[test]
fn a_changed_bit_is_refused_or_changes_nothing() {
    for (name, ca) in [("rsa.tsr", "rsa"), ("p256.tsr", "ec")] {
        let (reply, authorities) = (file(name), authorities(ca));
        let stated = verify(&reply, &authorities).unwrap();
        let mut accepted = 0;
        for place in 0..reply.len() {
            for bit in 0..8 {
                let mut changed = reply.clone();
                changed[place] ^= 1 << bit;
                if let Ok(found) = verify(&changed, &authorities) {
                    assert_eq!(found, stated, "{name}: bit {bit} of byte {place}");
                    accepted += 1;
                }
            }
        }
        assert!(accepted < reply.len() * 4, "{name}: {accepted} of {}", reply.len() * 8);
        println!("{name}: {accepted} of {} changes say the same", reply.len() * 8);
    }
}

#[test]
fn a_cut_or_longer_answer_is_refused() {
    for name in ["rsa.tsr", "p384.tsr", "rejected.tsr"] {
        let reply = file(name);
        for end in 0..reply.len() {
            Token::parse(&reply[..end]).unwrap_err();
        }
        Token::parse(&[&reply[..], &[0]].concat()).unwrap_err();
    }
}

#[test]
fn authorities_are_certificates() {
    let refused = |pem: &[u8]| Authorities::from_pem(pem).unwrap_err().code();
    assert_eq!(refused(b""), "authorities-unusable");
    assert_eq!(
        refused(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        "authorities-unusable"
    );
    let mut both = b"text between them\n".to_vec();
    both.extend(file("other-ca.pem"));
    both.extend(file("ec-ca.pem"));
    verify(&file("p384.tsr"), &Authorities::from_pem(&both).unwrap()).unwrap();
}

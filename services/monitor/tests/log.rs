//! Each way in which a log can be other than it has to be is found, with what shows it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod ledger;

use std::fs;

use ledger::room::{Room, codes};
use ledger::{Ledger, forked, time};
use trialseal_monitor::Other;
use trialseal_seal::hash::{Hash, sha256};
use trialseal_verify::Verdict;

#[test]
fn a_rolled_back_checkpoint_is_found() {
    let old = Ledger::new(4);
    let mut ledger = old.clone();
    ledger.step(1);
    let room = Room::at(&ledger);
    let report = room.assert_finds(&old, "rolled-back", "log/checkpoint");
    let kept = room.path("evidence").join(&report.evidence[0]);
    assert_eq!(fs::read(kept.join("checkpoint-old")).unwrap(), ledger.files["checkpoint"]);
    assert_eq!(fs::read(kept.join("checkpoint-new")).unwrap(), old.files["checkpoint"]);
    assert_eq!(fs::read(kept.join("policy.txt")).unwrap(), Ledger::policy_text().as_bytes());
}

#[test]
fn a_fork_is_found_of_the_same_size_and_later() {
    let (one, mut other) = forked(3);
    let room = Room::at(&one);
    room.assert_finds(&other, "split", "log/checkpoint");
    other.step(1);
    // Of the same incident, evidence is kept once.
    room.next(&other);
    assert_eq!(fs::read_dir(room.path("evidence")).unwrap().count(), 1);
    let report = Room::at(&one).assert_finds(&other, "split", "log/checkpoint");
    assert!(report.findings[0].message.contains("does not begin with"), "{:?}", report.findings);
}

#[test]
fn an_entry_that_is_not_what_was_signed_is_found() {
    let mut ledger = Ledger::new(3);
    let room = Room::at(&ledger);
    ledger.step(1);
    let bundle = ledger.files.get_mut("tile/entries/000.p/4").unwrap();
    let digit = bundle.iter().rposition(u8::is_ascii_digit).unwrap();
    bundle[digit] = if bundle[digit] == b'1' { b'2' } else { b'1' };
    room.assert_finds(&ledger, "root-differs", "log/checkpoint");
}

#[test]
fn seals_that_break_a_rule_are_found() {
    type Edit = fn(&mut trialseal_seal::seal::Seal);
    let rules: [(&str, Edit); 6] = [
        ("seal-number", |seal| seal.seal += 1),
        ("seal-time", |seal| seal.time = time(5)),
        ("seal-counts", |seal| seal.events = 1),
        ("seal-counts", |seal| seal.trials = 1),
        ("prior-unknown", |seal| seal.prior = Hash::from_bytes([7; 32])),
        ("prior-back", |seal| seal.prior = Hash::ZERO),
    ];
    for (code, edit) in rules {
        let mut ledger = Ledger::new(3);
        let room = Room::at(&ledger);
        ledger.step_with(1, edit);
        room.assert_finds(&ledger, code, "seal 3");
        // It stays an alarm, and its evidence is kept once.
        ledger.step(1);
        let report = room.assert_finds(&ledger, code, "seal 3");
        let kept = fs::read_dir(room.path("evidence")).unwrap();
        let kept = kept.filter(|it| it.as_ref().unwrap().file_name().to_str().unwrap().contains(code));
        assert_eq!(kept.count(), 1, "{:?}", report.evidence);
    }
}

#[test]
fn an_older_note_as_prior_is_found() {
    let mut ledger = Ledger::new(4);
    let room = Room::at(&ledger);
    let older = sha256(ledger.notes[&2].as_bytes());
    ledger.step_with(1, |seal| seal.prior = older);
    room.assert_finds(&ledger, "prior-unknown", "seal 4");
}

#[test]
fn a_seal_dated_long_after_it_was_public_is_found() {
    let mut ledger = Ledger::new(3);
    let room = Room::at(&ledger);
    ledger.step_with(1, |seal| seal.time = time(30 + 62));
    room.assert_finds(&ledger, "seal-after-public", "seal 3");
}

#[test]
fn notes_and_checkpoints_that_do_not_meet_the_policy_are_found() {
    let mut ledger = Ledger::new(3);
    let room = Room::at(&ledger);
    ledger.step(1);
    let bare = ledger.note(false);
    ledger.step(1);
    ledger.files.insert("notes/004".into(), bare.clone().into_bytes());
    room.assert_finds(&ledger, "quorum", "note 4");
    ledger.files.insert("notes/004".into(), ledger.notes[&3].clone().into_bytes());
    room.assert_finds(&ledger, "note-size", "note 4");
    let (one, other) = forked(3);
    ledger.files.insert("notes/004".into(), other.files["notes/004"].clone());
    assert_ne!(one.files["notes/004"], other.files["notes/004"]);
    room.assert_finds(&ledger, "note-of-another-tree", "note 4");

    let mut ledger = Ledger::new(4);
    ledger.files.insert("checkpoint".into(), bare.into_bytes());
    room.assert_finds(&ledger, "quorum", "log/checkpoint");
}

#[test]
fn monitors_compare_and_a_split_is_shown_by_both_notes() {
    let (one, mut other) = forked(3);
    let theirs = Room::at(&other);
    let peer = Other::Peer(theirs.path("checkpoint").to_str().unwrap().into());
    let mut room = Room::at(&one);
    room.others = vec![peer.clone()];
    let report = room.assert_finds(&one, "split", &peer.name());
    let kept = room.path("evidence").join(&report.evidence[0]);
    assert_eq!(fs::read(kept.join("checkpoint-here")).unwrap(), one.files["checkpoint"]);
    assert_eq!(fs::read(kept.join("checkpoint-other")).unwrap(), other.files["checkpoint"]);

    // Of another size: what they have seen is not the beginning of what is shown here, nor the other way round.
    let mut longer = one.clone();
    longer.step(1);
    let mut behind = Room::at(&one);
    behind.others = vec![peer.clone()];
    behind.assert_finds(&longer, "split", &peer.name());
    other.step(2);
    let mut ahead = Room::at(&other);
    ahead.others = vec![Other::Peer(room.path("checkpoint").to_str().unwrap().into())];
    assert_eq!(codes(&ahead.next(&other)), ["split"]);

    // Whoever has seen the same log agrees, be they before or behind.
    let mut honest = one.clone();
    let them = Room::at(&honest);
    let peer = Other::Peer(them.path("checkpoint").to_str().unwrap().into());
    room.others = vec![peer.clone()];
    for _ in 0..3 {
        let report = room.next(&honest);
        assert_eq!((codes(&report), report.others[&peer.name()]), (vec![], Some(4)));
        honest.step(1);
    }
    // Nobody can make the ledger look guilty by a checkpoint that it did not sign.
    fs::write(them.path("checkpoint"), b"ledger.example.org/monitor\n4\nAAAA\n\n").unwrap();
    let report = room.next(&honest);
    assert_eq!((report.verdict, codes(&report)), (Verdict::CannotTell, vec!["other-unreadable"]));
    assert_eq!(report.log.unwrap().size, 7);
}

#[test]
fn one_who_has_seen_more_than_the_ledger_shows_is_told_of() {
    let mut ledger = Ledger::new(3);
    let mut room = Room::at(&ledger);
    let held_back = ledger.clone();
    ledger.step(1);
    let ahead = Room::at(&ledger);
    room.others = vec![Other::Peer(ahead.path("checkpoint").to_str().unwrap().into())];
    let report = room.next(&held_back);
    assert_eq!((report.verdict, codes(&report)), (Verdict::CannotTell, vec!["other-ahead"]));
    // The tiles are there, the checkpoint is not yet.
    let mut late = ledger.clone();
    late.files.insert("checkpoint".into(), held_back.files["checkpoint"].clone());
    assert_eq!(room.next(&late).verdict, Verdict::Sound);
}

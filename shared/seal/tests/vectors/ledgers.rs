//! Ledgers as a monitor follows them.

use serde_json::Value;
use trialseal_seal::Result;
use trialseal_seal::ledger::LedgerChecker;
use trialseal_seal::map::Head;
use trialseal_seal::policy::Policy;
use trialseal_seal::seal::Seal;

use crate::{codes, json, list, text};

fn follow(policy: &str, ledger: &Value) -> Result<()> {
    let mut checker = LedgerChecker::new(Policy::parse(policy)?);
    for (place, sealed) in list(ledger, "seals").iter().enumerate() {
        let heads =
            sealed[1].as_array().expect("heads").iter().map(Head::parse).collect::<Result<Vec<_>>>()?;
        checker.seal(&Seal::parse(&sealed[0])?, &heads)?;
        let size = place as u64 + 1;
        if let Some(note) = ledger["notes"][size.to_string()].as_str() {
            checker.note(size, note)?;
        }
    }
    Ok(())
}

#[test]
fn ledgers() {
    let vectors = json("ledgers.json");
    for ledger in list(&vectors, "accepted") {
        assert_eq!(follow(text(&vectors, "policy"), ledger), Ok(()));
    }
    let found = codes(list(&vectors, "refused"), |ledger| follow(text(&vectors, "policy"), ledger));
    let expected = [
        ("prior is of no note", "prior-unknown"),
        ("prior is zero again", "prior-back"),
        ("time goes back", "seal-time"),
        ("number skipped", "seal-number"),
        ("event count wrong", "seal-counts"),
        ("trial count wrong", "seal-counts"),
        ("map of other heads", "seal-map"),
        ("another ledger's name", "another-ledger"),
        ("note of another tree", "note-of-another-tree"),
        ("note not witnessed", "quorum"),
        ("a trial shrank", "trial-shrank"),
    ];
    assert_eq!(found, expected);
}

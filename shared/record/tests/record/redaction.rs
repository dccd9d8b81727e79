//! Redacting one value: which ones there are, who asks, who agrees, and what is known afterwards.

use serde_json::json;
use trialseal_record::redacted::is_value;
use trialseal_record::{Role, Scope};

use crate::history::*;
use crate::scenario::{event, given};

use Role::{Investigator, Irb};

#[test]
fn two_people_and_a_reason_redact_one_value() {
    let asked = but(redaction_body(), json!({"requester": "actor-1"}));
    let decided = given(measured()).by(Investigator).when(&request_redaction(redaction_body()));
    decided.then([(redactions(), event("redaction.requested", asked))]);
    let agreed = but(redaction_body(), json!({"requester": "investigator-1", "approver": "actor-1"}));
    let decided = given(redaction_requested("investigator-1")).by(Irb).when(&approve_redaction());
    decided.then([(redactions(), event("redaction.approved", agreed))]);
    let trial: trialseal_record::TrialId = "DEMO-1".parse().unwrap();
    assert_eq!(
        Scope::of(&trial, redactions()),
        Scope::Trial(trial.clone()),
        "it tells of people in the trial's name"
    );
}

/// From then on nobody has to know the value to record the right one, and whoever names it is refused.
#[test]
fn a_redacted_value_is_forgotten_and_can_be_corrected() {
    let people = json!({"requester": "investigator-1", "approver": "irb-1"});
    let redacted = event("record.redacted", but(redaction_body(), people));
    let history = || with(redaction_approved(), participant(), redacted.clone());
    given(history()).by(Investigator).when(&correct(correction())).refused("correction.old-value");
    let anew = but(correction(), json!({"old": "[redacted]"}));
    let decided = given(history()).by(Investigator).when(&correct(anew));
    assert_eq!(decided.events().len(), 1);
}

/// What came in its place since is another value.
#[test]
fn a_value_that_was_corrected_before_stays_as_it_was_corrected() {
    let corrected = given(measured()).by(Investigator).when(&correct(correction())).events();
    let people = json!({"requester": "investigator-1", "approver": "irb-1"});
    let redact = |changes| event("record.redacted", but(but(redaction_body(), people.clone()), changes));
    let last = redaction_body()["streamseq"].as_u64().unwrap() + 1;
    let again = json!({"old": correction()["new"], "new": "999"});
    for (changes, is_forgotten) in [
        (json!({}), false),
        (json!({"streamseq": last, "pointer": "/old"}), false),
        (json!({"streamseq": last, "pointer": "/new"}), true),
    ] {
        let history = measured().into_iter().chain(corrected.clone());
        let history = history.chain([(participant(), redact(changes))]);
        let outcome = given(history).by(Investigator).when(&correct(but(correction(), again.clone())));
        assert_eq!(outcome.refusal().is_some(), is_forgotten);
    }
}

#[test]
fn values_are_what_was_recorded_corrected_or_imported() {
    let import = json!({
        "import": IMPORT, "dataset": "LB", "row": 0, "record": {"LBORRES": "38", "A/B~": "x", "LBSTAT": null},
    });
    let imported = event("data.imported", import);
    for (pointer, is_one) in [
        ("/record/LBORRES", true),
        ("/record/A~1B~0", true),
        ("/record/LBSTAT", false),
        ("/record/OTHER", false),
        ("/dataset", false),
        ("/record/items/0/value", false),
    ] {
        assert_eq!(is_value(&imported, pointer), is_one, "{pointer}");
    }
    let recorded = measured().pop().unwrap().1;
    for pointer in
        ["/new", "/record/items/00/value", "/record/items/+0/value", "/record/items/0", "", "/record/form"]
    {
        assert!(!is_value(&recorded, pointer), "{pointer}");
    }
    assert!(is_value(&recorded, "/record/items/0/value"));
}

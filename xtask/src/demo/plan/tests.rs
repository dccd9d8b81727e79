mod record;

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn all_steps(plan: &Plan) -> Vec<Step> {
    let phases = plan.phases.iter().flat_map(|phase| phase.chains.iter().flatten().cloned());
    phases.chain([plan.results.clone()]).collect()
}

/// The path below the trial's, without the names in braces.
fn kind(step: &Step) -> String {
    let below = step.path.trim_start_matches("/v1/trials").trim_start_matches(&format!("/{TRIAL}/"));
    below.split('/').filter(|part| !part.starts_with('{')).collect::<Vec<_>>().join("/")
}

#[test]
fn the_plan_is_the_same_every_time() {
    assert_eq!(Plan::generate(), Plan::generate());
}

#[test]
fn keys_are_different_and_names_are_learnt_before_they_are_used() {
    let mut keys = BTreeSet::new();
    let mut known = BTreeSet::new();
    for step in all_steps(&Plan::generate()) {
        assert!(keys.insert(step.key.clone()), "{} stands twice", step.key);
        assert!(step.key.is_ascii() && step.key.len() <= 64);
        let site = step.body["site"].as_str().unwrap_or_default();
        for name in step.path.split('/').chain([site]) {
            let Some(name) = name.strip_prefix('{') else { continue };
            assert!(known.contains(name.trim_end_matches('}')), "{name} is used before it is known");
        }
        known.extend(step.learns.map(|(_, name)| name));
    }
    assert_eq!(known.len(), 63, "three sites and sixty participants");
}

#[test]
fn there_is_something_of_everything() {
    let steps = all_steps(&Plan::generate());
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for step in &steps {
        *counts.entry(kind(step)).or_default() += 1;
    }
    let having = |member: &str, value: Value| steps.iter().filter(|step| step.body[member] == value).count();
    assert_eq!(counts["participants"], 60);
    assert_eq!(counts["sites"], 3);
    assert_eq!(counts["consent-versions"], 4, "two versions in two languages");
    assert_eq!(counts["participants/consent-withdrawals"], 1);
    assert!((5..30).contains(&counts["participants/data/corrections"]), "{counts:?}");
    assert!(counts["participants/consents"] > 60, "some have consented twice: {counts:?}");
    assert!(counts["participants/adverse-events"] > 10, "{counts:?}");
    assert_eq!(having("seriousness", serde_json::json!(["hospitalization"])), 1);
    assert_eq!(having("status", "screen-failed".into()), 4);
    assert_eq!(steps.iter().filter(|step| !step.body["screenFailed"].is_null()).count(), 4);
}

#[test]
fn the_days_of_a_person_follow_each_other_and_lie_in_2025() {
    for chain in Plan::generate().phases.iter().flat_map(|phase| &phase.chains) {
        assert!(chain.is_sorted_by_key(|step| step.day));
        assert!(chain.iter().all(|step| step.day < 365));
    }
    assert_eq!((date(0).as_str(), date(364).as_str()), ("2025-01-01", "2025-12-31"));
}

#[test]
fn the_laboratory_knows_the_participants() {
    let plan = Plan::generate();
    let file: Value = serde_json::from_str(&plan.laboratory_file).unwrap();
    let rows = file["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 52);
    assert_eq!(file["records"], 52);
    let known: BTreeSet<String> = all_steps(&plan)
        .iter()
        .filter_map(|step| step.body["subjectNumber"].as_str().map(str::to_owned))
        .collect();
    assert!(rows.iter().all(|row| known.contains(row[2].as_str().unwrap())));
}

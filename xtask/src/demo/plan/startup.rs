//! What happens in the trial as a whole.

use serde_json::json;

use super::people::SITES;
use super::{AMENDMENT_DAY, Chain, Step, TRIAL, date, made_up_sha256, step};
use crate::service::Role;

/// From registration to open sites.
pub(super) fn opening() -> Chain {
    let registration = json!({
        "id": TRIAL,
        "title": "Demonstration (generated data): a trial of exercise and salt reduction in mild hypertension",
        "sponsor": "Demo Sponsor",
        "phase": "not-applicable",
    });
    let mut chain = vec![step(0, Role::Sponsor, "registration", "", registration), protocol(2, "1.0")];
    chain.extend(consent_forms(5, "1.0"));
    chain.push(approval(10, "1.0"));
    for (site, day) in SITES.iter().zip([20, 24, 28]) {
        let body = json!({
            "number": site.number, "name": site.name, "investigator": site.investigator, "country": site.country,
            "activatedOn": date(day),
        });
        let mut activation = step(day, Role::Sponsor, &format!("site.{}", site.number), "sites", body);
        activation.learns = Some(("site", site.number.to_owned()));
        chain.push(activation);
    }
    chain
}

/// A second protocol version, for which everybody has to consent anew.
pub(super) fn amendment() -> Chain {
    let mut chain = vec![protocol(AMENDMENT_DAY - 10, "2.0")];
    chain.extend(consent_forms(AMENDMENT_DAY - 8, "2.0"));
    chain.push(approval(AMENDMENT_DAY, "2.0"));
    chain
}

/// The results.
pub(super) fn results(mean_change: &str, completers: usize) -> Step {
    let body = json!({
        "outcomes": [{
            "outcome": "systolic-pressure",
            "measure": "Mean change of systolic blood pressure from baseline",
            "value": mean_change,
            "unit": "mmHg",
            "timeFrame": "12 weeks",
            "analysisPopulation": format!("All {completers} participants who completed"),
        }],
        "analysedOn": date(348),
        "summary": "Computed from the generated measurements; says nothing about any treatment.",
    });
    step(348, Role::Sponsor, "results", "results", body)
}

fn protocol(day: u64, version: &str) -> Step {
    let is_first = version == "1.0";
    let mut secondary = vec![json!({
        "id": "weight", "measure": "Mean change of body weight from baseline", "timeFrame": "12 weeks",
    })];
    if !is_first {
        secondary.push(json!({
            "id": "potassium", "measure": "Mean change of serum potassium from baseline", "timeFrame": "12 weeks",
        }));
    }
    let body = json!({
        "version": version,
        "documentSha256": made_up_sha256(if is_first { 0x11 } else { 0x12 }),
        "effective": date(if is_first { 15 } else { AMENDMENT_DAY }),
        "primaryOutcomes": [{
            "id": "systolic-pressure",
            "measure": "Mean change of systolic blood pressure from baseline",
            "timeFrame": "12 weeks",
        }],
        "secondaryOutcomes": secondary,
        "sampleSize": 50,
        "changeSummary": if is_first { "First version" } else { "Serum potassium added, as salt is replaced" },
        "reconsent": if is_first { "none" } else { "required" },
    });
    step(day, Role::Sponsor, &format!("protocol.{version}"), "protocol-versions", body)
}

/// The form in both languages. Forms have the version of the protocol they inform about.
fn consent_forms(day: u64, version: &str) -> [Step; 2] {
    [("en", 0x20), ("de", 0x30)].map(|(language, number)| {
        let document = made_up_sha256(number + u8::from(version != "1.0"));
        let body = json!({
            "version": version, "language": language, "documentSha256": document, "protocolVersion": version,
        });
        step(day, Role::Sponsor, &format!("consent-form.{version}.{language}"), "consent-versions", body)
    })
}

fn approval(day: u64, version: &str) -> Step {
    let body = json!({
        "irb": "Demo Ethics Committee",
        "decision": "approved",
        "decidedOn": date(day),
        "expiresOn": date(day + 1000),
        "protocolVersion": version,
        "consentVersions": [version],
    });
    step(day, Role::Irb, &format!("irb-decision.{version}"), "irb-decisions", body)
}

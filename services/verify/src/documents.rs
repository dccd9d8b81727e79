//! Checks of one JSON document: a receipt, a growth proof, a proof of absence (sections 7 and 8 of the format).

use trialseal_seal::absence::Absence;
use trialseal_seal::canonical::{MAX_DEPTH, parse};
use trialseal_seal::event::Header;
use trialseal_seal::growth::Growth;
use trialseal_seal::policy::Policy;
use trialseal_seal::proof::SealReport;
use trialseal_seal::receipt::{Receipt, ReceiptReport};

use crate::outcome::Report;
use crate::time::{Unknown, moment, public_by};

/// Largest document that is read, bytes. A receipt that shows 200,000 fields stays below; how many values a document may
/// have is bounded besides ([`trialseal_seal::canonical::MAX_VALUES`]).
pub const MAX_DOCUMENT_BYTES: u64 = 32 << 20;

const RECEIPT_LIMITS: &[&str] =
    &["that what was recorded is true", "that everything that happened was recorded"];
const GROWTH_LIMITS: &[&str] = &[
    "that what was recorded is true",
    "that everything that happened was recorded",
    "anything about other trials",
];
const ABSENCE_LIMITS: &[&str] =
    &["anything about another spelling of this id", "anything about a later seal, or another ledger"];

/// Checks a receipt: one event, recorded and public by a time.
pub fn receipt(input: &str, text: &[u8], policy: &Policy) -> Report {
    let mut report = Report::new("receipt", input, RECEIPT_LIMITS);
    match parse(text, MAX_DEPTH) {
        Ok(value) => {
            // The event is named even where the rest of the receipt cannot be read.
            let record = Header::parse(&value["header"]).map_or("receipt".into(), |header| event(&header));
            match Receipt::from_value(&value) {
                Ok(receipt) => match receipt.verify_all(policy) {
                    Ok(proved) => receipt_facts(&mut report, &proved, policy),
                    Err(refused) => report.all_refused(&record, &refused),
                },
                Err(refused) => report.refused(record, &refused),
            }
        }
        Err(refused) => report.refused("receipt", &refused),
    }
    silent(&mut report, policy);
    report
}

fn event(header: &Header) -> String {
    format!("event {} of trial {} ({})", header.trialseq, header.trial, header.id)
}

fn receipt_facts(report: &mut Report, proved: &ReceiptReport, policy: &Policy) {
    report.fact("ledger", "Ledger", proved.ledger.as_str());
    report.fact("trial", "Trial", proved.trial.as_str());
    report.fact("trialseq", "Event number", proved.trialseq);
    report.fact("event", "Event id", proved.event.as_str());
    report.fact("time", "Time by the ledger's word", proved.time.to_string());
    report.fact("seal", "Covered by seal", proved.seal);
    report.fact("logSize", "Log size of the checkpoint", proved.log_size);
    report.fact("publicBy", "Public by", public_by(proved.public_by, policy));
    match proved.recorded_after {
        Some(seconds) => report.fact("recordedAfter", "Recorded after", moment(seconds)),
        None => report.fact("recordedAfter", "Recorded after", Unknown::NoWitnessedBound.to_string()),
    }
    if let Some(seconds) = proved.seconds_until_public {
        report.fact("secondsUntilPublic", "Seconds until public", seconds);
    }
    let shown = proved.fields.map(|count| format!("{} of {} fields shown", count.shown, count.total));
    report.fact("fields", "Data", shown.unwrap_or_else(|| "none shown".into()));
}

/// Checks a growth proof: a later head of a trial extends an earlier one.
pub fn growth(input: &str, text: &[u8], policy: &Policy) -> Report {
    let mut report = Report::new("growth", input, GROWTH_LIMITS);
    match Growth::parse(text) {
        Ok(growth) => match growth.verify_all(policy) {
            Ok(proved) => {
                report.fact("ledger", "Ledger", proved.to.ledger.as_str());
                report.fact("trial", "Trial", proved.trial.as_str());
                report.fact("fromSeal", "From seal", proved.from.seal);
                report.fact("fromSize", "Events then", proved.from_size);
                report.fact("fromPublicBy", "Public by", public_by(proved.from.public_by, policy));
                report.fact("toSeal", "To seal", proved.to.seal);
                report.fact("toSize", "Events then", proved.to_size);
                report.fact("toPublicBy", "Public by", public_by(proved.to.public_by, policy));
            }
            Err(refused) => {
                let (from, to) = (&growth.from, &growth.to);
                let record = format!(
                    "growth of trial {} from seal {} to seal {}",
                    to.head.trial, from.seal.seal, to.seal.seal
                );
                report.all_refused(&record, &refused);
            }
        },
        Err(refused) => report.refused("growth proof", &refused),
    }
    silent(&mut report, policy);
    report
}

/// Checks a proof of absence: a trial is not in the map of a seal.
pub fn absence(input: &str, text: &[u8], policy: &Policy) -> Report {
    let mut report = Report::new("absence", input, ABSENCE_LIMITS);
    match Absence::parse(text) {
        Ok(absence) => match absence.verify_all(policy) {
            Ok(proved) => {
                report.fact("ledger", "Ledger", proved.seal.ledger.as_str());
                report.fact("trial", "Absent trial", proved.trial.as_str());
                seal_facts(&mut report, &proved.seal, policy);
            }
            Err(refused) => {
                let record =
                    format!("absence of trial {} as of seal {}", absence.trial, absence.seal.seal.seal);
                report.all_refused(&record, &refused);
            }
        },
        Err(refused) => report.refused("proof of absence", &refused),
    }
    silent(&mut report, policy);
    report
}

/// Says which seal a check speaks of, and by when it was public.
pub(crate) fn seal_facts(report: &mut Report, seal: &SealReport, policy: &Policy) {
    report.fact("seal", "As of seal", seal.seal);
    report.fact("sealTime", "Seal time by the ledger's word", seal.time.to_string());
    report.fact("logSize", "Log size of the checkpoint", seal.log_size);
    report.fact("publicBy", "Public by", public_by(seal.public_by, policy));
}

/// Names the witnesses that this program cannot hear, if there are any, whatever the check came to: where the quorum was
/// not met, they may be the reason.
pub(crate) fn silent(report: &mut Report, policy: &Policy) {
    let witnesses = policy.silent();
    if !witnesses.is_empty() {
        report.fact("silentWitnesses", "Not counted (kind of key unknown here)", witnesses.join(", "));
    }
}

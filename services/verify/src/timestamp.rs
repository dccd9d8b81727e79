//! The check of a timestamp from outside: an RFC 3161 token of a published checkpoint note (section 6 of the format).

use trialseal_seal::hash::sha256;
use trialseal_seal::policy::Policy;
use trialseal_seal::proof::MAX_SEAL_LEAD_SECONDS;
use trialseal_timestamp::{Authorities, Refused, Stated, Token};

use crate::documents::silent;
use crate::outcome::Report;
use crate::time::public_by;

const LIMITS: &[&str] = &[
    "that what was recorded is true",
    "that no certificate on the way to the authority was revoked (nothing is looked up)",
];

/// Checks that an authority stamped this very note. With a policy, the note is held against it, and the report says what is
/// proved: that every seal it covers existed then.
pub fn timestamp(
    input: &str,
    reply: &[u8],
    note: &[u8],
    authorities: &Authorities,
    policy: Option<&Policy>,
) -> Report {
    let mut report = Report::new("timestamp", input, LIMITS);
    let stated = stated(reply, note, authorities);
    match &stated {
        Ok(stated) => facts(&mut report, stated),
        Err(refused) => report.timestamp_refused(input, refused),
    }
    if let Some(policy) = policy {
        covered(&mut report, note, policy, stated.as_ref().ok());
        silent(&mut report, policy);
    }
    report
}

/// What an authority states of a note.
pub(crate) fn stated(reply: &[u8], note: &[u8], authorities: &Authorities) -> Result<Stated, Refused> {
    Token::parse(reply)?.verify(sha256(note), authorities)
}

fn facts(report: &mut Report, stated: &Stated) {
    report.fact("existedBy", "The note existed by", stated.time.to_string());
    match stated.accuracy {
        Some(micros) => report.fact("accuracyMicros", "Microseconds it may be off", micros),
        None => report.fact("accuracyMicros", "Microseconds it may be off", "not stated"),
    }
    report.fact("authority", "Authority", stated.authority.as_str());
    report.fact("authorityPolicy", "Its policy", stated.policy.as_str());
    report.fact("serial", "Serial number", stated.serial.as_str());
}

/// Says what the note covers.
fn covered(report: &mut Report, note: &[u8], policy: &Policy, stated: Option<&Stated>) {
    let examined = policy.examine_bytes(note);
    report.all_refused("the note", &examined.refused);
    let Some(checkpoint) = examined.checkpoint.filter(|_| examined.refused.is_empty()) else { return };
    report.fact("ledger", "Ledger", checkpoint.origin.as_str());
    report.fact("logSize", "Log size of the note", checkpoint.size);
    report.fact("publicBy", "Public by", public_by(examined.quorum_time, policy));
    let Some(stated) = stated else { return };
    if let Some(last) = checkpoint.size.checked_sub(1) {
        let proved = format!("every seal up to {last} existed by {}", stated.time);
        report.fact("proves", "It proves that", proved);
    }
    if is_before(stated, examined.quorum_time) {
        report.broken("the note", "timestamp-before-witnesses", BEFORE_WITNESSES);
    }
}

/// Why a time cannot be: the note holds its witnesses' signatures.
pub(crate) const BEFORE_WITNESSES: &str =
    "its witnesses signed it more than 60 seconds after the authority says that it existed";

/// Whether an authority's time lies before the note's quorum time by more than clocks may differ.
pub(crate) fn is_before(stated: &Stated, quorum_time: Option<u64>) -> bool {
    let quorum_time = quorum_time.and_then(|seconds| i64::try_from(seconds).ok());
    quorum_time.is_some_and(|quorum| quorum > stated.time.seconds().saturating_add(MAX_SEAL_LEAD_SECONDS))
}

#[cfg(test)]
mod tests {
    use trialseal_seal::time::Timestamp;

    use super::*;

    #[test]
    fn clocks_may_differ_by_a_minute_and_no_more() {
        let stated = Stated {
            time: Timestamp::from_micros(1_000_900_000),
            accuracy: None,
            serial: String::new(),
            policy: String::new(),
            authority: String::new(),
            nonce: Vec::new(),
        };
        for (quorum_time, is) in [
            (None, false),
            (Some(0), false),
            (Some(1_060), false),
            (Some(1_061), true),
            (Some(u64::MAX), false),
        ] {
            assert_eq!(is_before(&stated, quorum_time), is, "{quorum_time:?}");
        }
    }
}

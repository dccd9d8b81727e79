//! The signature that a sender puts to a command: read, checked, and made ready for the decision.

use actix_web::http::header::HeaderMap;
use serde_json::Value;
use trialseal_record::event::SubmissionSigned;
use trialseal_record::submission::Signed;
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_seal::submission::{SubmissionSignature, SubmitterKey, statement};

/// The header that a signature comes in.
const HEADER: &str = "submission-signature";

/// The signature in the head of a request, if there is one.
pub(crate) fn signature(headers: &HeaderMap) -> Result<Option<SubmissionSignature>, Problem> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let signature = SubmissionSignature::parse(text).map_err(|refused| malformed(&refused))?;
    Ok(Some(signature))
}

/// What a signature over this command comes to. Whether its key counts is for the record's rules to say.
pub(crate) fn check(
    signature: &SubmissionSignature,
    ledger: &str,
    path: &str,
    idempotency_key: &str,
    body: Value,
) -> Result<Signed, Problem> {
    let signed = statement(ledger, path, idempotency_key, &body);
    let key = SubmitterKey::from_x(signature.key()).map_err(|refused| malformed(&refused))?;
    let text = |text: &str| text.parse().map_err(|error| Problem::internal(&error));
    let seconds = i64::try_from(signature.signed_at()).unwrap_or(i64::MAX);
    Ok(Signed {
        key: signature.key().parse().map_err(|error| malformed(&error))?,
        signed_at_micros: seconds.saturating_mul(1_000_000),
        verifies: signature.verify(&key, &signed).is_ok(),
        event: SubmissionSigned {
            path: text(path)?,
            idempotency_key: text(idempotency_key)?,
            body,
            signature: text(&signature.to_string())?,
        },
    })
}

/// What a signature that is recorded comes to.
pub(crate) fn check_again(event: &SubmissionSigned, ledger: &str) -> Result<Signed, Problem> {
    let signature =
        SubmissionSignature::parse(event.signature.as_str()).map_err(|refused| malformed(&refused))?;
    let (path, key) = (event.path.as_str(), event.idempotency_key.as_str());
    check(&signature, ledger, path, key, event.body.clone())
}

/// The problem of a signature on what nobody signs.
pub(crate) fn not_signed() -> Problem {
    Problem::new(
        ProblemKind::Malformed,
        "This command is not signed: a trial has no keys before it is registered.",
    )
    .with_hint("Send it without a Submission-Signature.")
}

fn malformed(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Malformed, format!("The Submission-Signature cannot be read: {error}."))
        .with_hint("Send a detached JWS by Ed25519 with the members alg, kid and iat: docs/submitting.md has an example.")
}

//! `POST <prefix>/add-checkpoint`: asks for a cosignature.

use std::time::Duration;

use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpResponse, ResponseError as _, post};
use trialseal_runtime::problem::{Problem, ProblemKind};

use super::BODY_BYTES;
use crate::refusal::Refusal;
use crate::witness::Witness;

/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);

#[post("/add-checkpoint")]
pub(super) async fn post(witness: Data<Witness>, payload: Payload) -> HttpResponse {
    let body = match body(payload).await {
        Ok(body) => body,
        Err(problem) => return problem.error_response(),
    };
    match witness.add_checkpoint(&body).await {
        Ok(lines) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(lines),
        Err(Refusal::Conflict(size)) => {
            HttpResponse::Conflict().content_type("text/x.tlog.size").body(format!("{size}\n"))
        }
        Err(refusal) => problem(&refusal).error_response(),
    }
}

async fn body(payload: Payload) -> Result<Bytes, Problem> {
    let incomplete = |detail: String| Problem::new(ProblemKind::Malformed, detail);
    let read = tokio::time::timeout(BODY_WITHIN, payload.to_bytes_limited(BODY_BYTES)).await;
    let read =
        read.map_err(|_| incomplete(format!("The body did not arrive within {} s.", BODY_WITHIN.as_secs())))?;
    let read = read.map_err(|_| {
        let detail = format!("This route takes at most {BODY_BYTES} bytes.");
        Problem::new(ProblemKind::PayloadTooLarge, detail)
    })?;
    read.map_err(|_| incomplete("The body did not arrive whole.".to_owned()))
}

/// The problem of a refusal.
fn problem(refusal: &Refusal) -> Problem {
    let kind = match refusal {
        Refusal::Malformed(_) => ProblemKind::Malformed,
        Refusal::UnknownLog => ProblemKind::NotFound,
        Refusal::Signature(_) => ProblemKind::LogSignature,
        Refusal::Conflict(_) | Refusal::OtherRoot(_) => ProblemKind::OtherRoot,
        Refusal::Inconsistent(_) => ProblemKind::Invalid,
        Refusal::Busy => ProblemKind::Busy,
        Refusal::Clock | Refusal::Unavailable => ProblemKind::Unavailable,
    };
    let problem = Problem::new(kind, format!("{}.", capitalised(&refusal.to_string())));
    match refusal {
        Refusal::UnknownLog => problem.with_hint("Ask whoever runs the witness to add the log."),
        Refusal::Inconsistent(_) => problem.with_hint("Send the consistency proof between the two sizes."),
        Refusal::Busy | Refusal::Clock | Refusal::Unavailable => {
            problem.with_hint("Ask again later.").with_retry_after_seconds(1)
        }
        _ => problem,
    }
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

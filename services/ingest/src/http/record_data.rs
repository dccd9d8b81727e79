//! `POST /v1/trials/{trial}/participants/{participant}/data`

use actix_web::{HttpResponse, post, web};
use trialseal_record::Command;
use trialseal_record::command::RecordData;
use trialseal_runtime::problem::Problem;

use super::answers::Problems;
use super::params::{CommandKey, ParticipantPath, TrialPath, Wait};
use super::sent::Sent;
use crate::{Ingest, Recorded};

/// Records values: one event a record, all of them or none.
///
/// Needs a consent in force. Values are text and stay as they are sent, digit by digit. A value that is recorded
/// already is corrected, not recorded again.
#[utoipa::path(
    tag = "Participants",
    request_body = RecordData,
    params(TrialPath, ParticipantPath, CommandKey, Wait),
    responses(
        (status = 201, description = "Recorded", body = Recorded),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        Problems,
    ),
    security(("bearer" = [])),
)]
#[post("/v1/trials/{trial}/participants/{participant}/data")]
pub(super) async fn record_data(ingest: web::Data<Ingest>, sent: Sent) -> Result<HttpResponse, Problem> {
    let participant = sent.participant()?;
    sent.submit(&ingest, "data", |body| Command::RecordData(participant, body)).await
}

//! `GET /v1/trials/{trial}/data`

use actix_web::get;
use actix_web::web::{Data, Json, Path, Query as Parameters};
use serde::{Deserialize, Serialize};
use trialseal_access::Permission;
use trialseal_access::http::Reader;
use trialseal_record::values::Reading;
use trialseal_record::view::DataView;
use trialseal_runtime::problem::Problem;
use utoipa::{IntoParams, ToSchema};

use super::{After, limit};
use crate::Query;
use crate::problems::require;
use crate::reading::Subjects;

/// Which values to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// The participant; all of the trial where it is left out.
    participant: Option<String>,
    /// `next` of the answer before.
    #[param(value_type = Option<String>)]
    after: Option<After>,
    /// How many; 100 unless said otherwise, 1,000 at the most.
    #[param(format = "uint32")]
    limit: Option<u32>,
}

/// Values by participant and place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Values {
    /// All events before this ledger position are in it.
    position: u64,
    records: Vec<DataView>,
    /// Where the list goes on, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The values of a trial as they stand, each with those before it, who changed it, when and why.
#[utoipa::path(
    tag = "Read models",
    security(("bearer" = [])),
    params(("trial" = String, Path, description = "The trial's id"), Page),
    responses(
        (status = 200, body = Values),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/data")]
pub(crate) async fn list(
    query: Data<Query>,
    mut reader: Reader,
    trial: Path<String>,
    page: Parameters<Page>,
) -> Result<Json<Values>, Problem> {
    let (trial, prefix) = if let Some(id) = &page.participant {
        let (trial, participant) = query.participant_in_reach(&mut reader, &trial, id).await?;
        (trial, format!("{participant}/"))
    } else {
        let (trial, _) = query.trial(&reader.principal, &trial).await?;
        require(&reader.principal, Permission::ReadParticipantData)?;
        (trial, String::new())
    };
    let found = query
        .list::<DataView>(&trial, &prefix, page.after.as_ref().map(After::as_str), limit(page.limit))
        .await?;
    let mut subjects = Subjects::default();
    found.views.iter().for_each(|view| subjects.see(view.participant));
    if let Some(whose) = subjects.whose() {
        query.record_reading(&reader, &trial, Reading::Data, whose, None).await?;
    }
    Ok(Json(Values { position: found.position, records: found.views, next: found.next }))
}

//! `GET /v1/trials/{trial}/submission-keys`

use actix_web::get;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use trialseal_access::{Permission, Principal};
use trialseal_record::{Ed25519X, Event, Text};
use trialseal_runtime::problem::Problem;
use trialseal_seal::event::Header;
use utoipa::ToSchema;

use crate::Query;
use crate::acts::Act;
use crate::problems::require;

/// The keys that senders sign their submissions with, in the order in which they were registered.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct SubmissionKeyList {
    /// Whether every submission has to be signed.
    required: bool,
    /// Who asked for that last, or asked for it no longer, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Act>,
    keys: Vec<SubmissionKey>,
}

/// A key that a sender signs with.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubmissionKey {
    /// The `x` of the public key as a JSON Web Key, which is its name. That it is its holder's, only the holder can tell.
    x: Ed25519X,
    /// The actor who signs with it.
    holder: Text,
    /// Whether they still do.
    in_use: bool,
    /// When it was registered.
    registered: Act,
    /// By whom and when it was revoked, and why, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<Act>,
}

impl SubmissionKeyList {
    fn take(&mut self, header: &Header, event: Event) {
        match event {
            Event::SubmissionKeyRegistered(event) => self.keys.push(SubmissionKey {
                x: event.key.x,
                holder: event.holder,
                in_use: true,
                registered: Act::of(header, None),
                revoked: None,
            }),
            Event::SubmissionKeyRevoked(event) => {
                if let Some(key) = self.keys.iter_mut().find(|key| key.x == event.key) {
                    key.in_use = false;
                    key.revoked = Some(Act::of(header, Some(event.reason)));
                }
            }
            Event::SubmissionSigningChanged(event) => {
                self.required = event.required;
                self.changed = Some(Act::of(header, Some(event.reason)));
            }
            _ => {}
        }
    }
}

/// Which keys senders sign their submissions with, and whether the trial asks for signatures.
#[utoipa::path(
    tag = "Record",
    security(("bearer" = [])),
    params(("trial" = String, Path, description = "The trial's id")),
    responses(
        (status = 200, body = SubmissionKeyList),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/submission-keys")]
pub(crate) async fn list(
    query: Data<Query>,
    principal: Principal,
    trial: Path<String>,
) -> Result<Json<SubmissionKeyList>, Problem> {
    let (trial, _) = query.trial(&principal, &trial).await?;
    require(&principal, Permission::ReadRecord)?;
    let mut list = SubmissionKeyList::default();
    for (header, event) in query.acts(&trial, "submission-").await? {
        list.take(&header, event);
    }
    Ok(Json(list))
}

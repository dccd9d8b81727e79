//! `GET /v1/permissions`: who may do what, or might at some time, told from the record.

use std::sync::Arc;

use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, get};
use serde::Serialize;
use trialseal_access::{Permission, Principal};
use trialseal_record::event::{Event, PolicyChanged};
use trialseal_record::values::{CommandPolicy, PermissionPolicy};
use trialseal_record::{StreamId, TrialId};
use trialseal_runtime::problem::Problem;
use trialseal_seal::time::Timestamp;
use trialseal_store::StoreError;
use utoipa::ToSchema;

use super::grants::Asked;
use crate::Identity;
use crate::problems::{forbidden, of_store};

/// Events that are read at once.
const PAGE_EVENTS: u32 = 500;

/// Who may do what.
#[derive(Serialize, ToSchema)]
struct PolicyAt {
    /// As of this time.
    at: String,
    /// What was in force; left out where nothing had been recorded by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<PolicyInForce>,
}

/// A policy, and the event that shows it.
#[derive(Serialize, ToSchema)]
struct PolicyInForce {
    /// When it was recorded.
    since: String,
    /// Place of the event in the trial `_ledger`, for its receipt.
    trialseq: u64,
    /// What opens the doors of the service.
    permissions: Vec<PermissionPolicy>,
    /// Which commands may be given.
    commands: Vec<CommandPolicy>,
}

/// Who may do what: which roles have which permission, and may give which command; for site staff with what has to be delegated to them.
///
/// It is what the service decides by, as it stands in the record: a service that decides otherwise records so before anything else.
/// With `GET /v1/grants` and `GET /v1/trials/{trial}/delegations` it tells who could do what on a day.
#[utoipa::path(
    tag = "Access", security(("bearer" = [])), params(Asked),
    responses(
        (status = 200, description = "The policy in force", body = PolicyAt),
        (status = 400, description = "The time cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not for this role", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached", body = Problem, content_type = "application/problem+json"),
    ),
)]
#[get("/v1/permissions")]
pub(super) async fn list(
    principal: Principal,
    identity: Data<Identity>,
    asked: Query<Asked>,
) -> Result<HttpResponse, Problem> {
    if !principal.may(Permission::ReadRecord) {
        return Err(forbidden("Your role reads no record."));
    }
    let at = asked.time(&identity)?;
    let identity: Arc<Identity> = identity.into_inner();
    let policy = identity.policy_at(at).await.map_err(|error| of_store(&error))?;
    Ok(HttpResponse::Ok().json(PolicyAt { at: at.to_string(), policy }))
}

impl Identity {
    /// The policy that had been recorded last by then.
    async fn policy_at(&self, at: Timestamp) -> Result<Option<PolicyInForce>, StoreError> {
        let (trial, stream) = (TrialId::ledger(), StreamId::ledger());
        let (mut newest, mut from) = (None, 0);
        loop {
            let rows = self.parts.events.of_stream(&trial, &stream, from, PAGE_EVENTS).await?;
            if rows.is_empty() {
                return Ok(newest);
            }
            from += rows.len() as u64;
            for row in rows {
                let header = row.checked_header()?;
                if header.kind != "policy.changed" || header.time > at {
                    continue;
                }
                if let Event::PolicyChanged(policy) = self.event_of_ledger(&row, &header).await? {
                    let PolicyChanged { permissions, commands } = policy;
                    let (since, trialseq) = (header.time.to_string(), row.trialseq);
                    newest = Some(PolicyInForce { since, trialseq, permissions, commands });
                }
            }
        }
    }
}

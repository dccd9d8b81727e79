//! `GET /v1/trials`

use std::sync::Arc;

use actix_web::get;
use actix_web::web::{Data, Json, Query as Parameters};
use serde::{Deserialize, Serialize};
use trialseal_access::{Permission, Principal};
use trialseal_record::ids::TrialId;
use trialseal_record::view::Overview;
use trialseal_runtime::problem::Problem;
use utoipa::{IntoParams, ToSchema};

use super::limit;
use crate::Query;
use crate::problems::{require, store};

/// Which trials to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// The trial to go on after: `next` of the answer before.
    #[param(value_type = Option<String>)]
    after: Option<TrialId>,
    /// How many; 100 unless said otherwise, 1,000 at the most.
    #[param(format = "uint32")]
    limit: Option<u32>,
}

/// Trials by id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Trials {
    trials: Vec<TrialEntry>,
    /// Where the list goes on, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    next: Option<TrialId>,
}

/// A trial.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialEntry {
    /// Its id.
    #[schema(value_type = String)]
    pub(crate) id: TrialId,
    /// Number of its events.
    pub(crate) events: u64,
    /// Its title, once it is in the overview.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
}

/// The trials that the caller's token reaches, by id. A token that names no trials reaches all of them, whatever its role.
#[utoipa::path(
    tag = "Trials",
    security(("bearer" = [])),
    params(Page),
    responses(
        (status = 200, body = Trials),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials")]
pub(crate) async fn list(
    query: Data<Query>,
    principal: Principal,
    page: Parameters<Page>,
) -> Result<Json<Trials>, Problem> {
    require(&principal, Permission::ReadRecord)?;
    let limit = limit(page.limit);
    let found = query.reached(&principal, page.after.as_ref(), limit).await?;
    let next = found.last().filter(|_| found.len() == limit as usize).map(|(id, _)| id.clone());
    let overviews = query.overviews(&found).await?;
    let entry = |((id, events), overview): ((TrialId, u64), Option<Overview>)| TrialEntry {
        id,
        events,
        title: overview.and_then(|overview| overview.title).map(String::from),
    };
    Ok(Json(Trials { trials: found.into_iter().zip(overviews).map(entry).collect(), next }))
}

impl Query {
    /// The overviews of trials, in their order; `None` for one that is not folded yet.
    pub(crate) async fn overviews(
        self: &Arc<Self>,
        trials: &[(TrialId, u64)],
    ) -> Result<Vec<Option<Overview>>, Problem> {
        let ids = trials.iter().map(|(trial, _)| (trial.clone(), String::new())).collect();
        let found = self.documents::<Overview>(ids).await?;
        Ok(found.into_iter().map(|folded| folded.map(|folded| folded.view)).collect())
    }

    /// The trials with events that a token reaches, and their sizes, by id.
    pub(crate) async fn reached(
        &self,
        principal: &Principal,
        after: Option<&TrialId>,
        limit: u32,
    ) -> Result<Vec<(TrialId, u64)>, Problem> {
        let Some(own) = &principal.trials else {
            return self.parts.events.trials(after, limit).await.map_err(store);
        };
        let mut own: Vec<_> = own.iter().filter(|trial| after.is_none_or(|after| *trial > after)).collect();
        own.sort();
        own.dedup();
        let mut found = Vec::new();
        for trial in own {
            if found.len() == limit as usize {
                break;
            }
            let size = self.parts.events.trial_size(trial).await.map_err(store)?;
            found.extend(size.map(|size| (trial.clone(), size)));
        }
        Ok(found)
    }
}

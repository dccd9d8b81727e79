//! The endpoints, one a file.

mod absence;
mod access_log;
mod allocation;
mod data;
mod delegations;
mod emergency_access;
mod erasures;
mod events;
mod growth;
mod legal_holds;
mod log;
mod overview;
mod participants;
mod policy;
mod receipt;
mod redactions;
mod seals;
mod signatures;
mod signing_keys;
mod stream;
mod submission_keys;
mod timeline;
mod trials;
mod trust;

use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::pages;

pub(crate) use signatures::SignatureList;
pub(crate) use signing_keys::SigningKeyList;

/// Events, seals or documents that one answer lists at the most: bounds memory and the time of an answer.
pub(crate) const MAX_LIMIT: u32 = 1_000;
/// And where the caller does not say how many.
pub(crate) const DEFAULT_LIMIT: u32 = 100;

/// Registers every route of the read API, and the pages. Handlers need `Data<Query>` and, for the page that describes the
/// API, `Data<ApiDescription>`.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(trials::list)
        .service(events::list)
        .service(receipt::get)
        .service(growth::get)
        .service(absence::get)
        .service(stream::get)
        .service(overview::get)
        .service(participants::list)
        .service(timeline::list)
        .service(access_log::list)
        .service(allocation::get)
        .service(data::list)
        .service(erasures::list)
        .service(emergency_access::list)
        .service(redactions::list)
        .service(legal_holds::list)
        .service(submission_keys::list)
        .service(signing_keys::list)
        .service(signatures::list)
        .service(delegations::list)
        .service(seals::list)
        .service(policy::get)
        .service(trust::get)
        .service(log::get);
    config.map(pages::routes);
}

/// Where a list goes on: an id, as `next` of an answer gave it. No id holds a control character, and PostgreSQL cannot
/// even compare one with NUL.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct After(String);

impl After {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for After {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.chars().any(char::is_control) {
            return Err("this should be `next` of the answer before");
        }
        Ok(Self(text))
    }
}

/// How many to list.
pub(crate) fn limit(asked: Option<u32>) -> u32 {
    asked.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)
}

//! `GET /v1/trials/{trial}/signing-keys`

use std::sync::Arc;

use actix_web::get;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use trialseal_access::{Permission, Principal};
use trialseal_record::signature::POLICY;
use trialseal_record::values::Passkey;
use trialseal_record::{Event, Name, Text};
use trialseal_runtime::problem::Problem;
use trialseal_seal::event::Header;
use trialseal_seal::signature::KEY_FORMAT;
use utoipa::ToSchema;

use crate::Query;
use crate::acts::Act;
use crate::problems::require;

/// The passkeys that people sign with, in the order in which they were registered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SigningKeyList {
    pub(crate) statement: SigningKeyStatement,
    pub(crate) keys: Vec<SigningKey>,
}

/// What you would say to begin to sign, but for what you add: `name`, `passkey`, `at`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SigningKeyStatement {
    pub(crate) format: &'static str,
    /// The ledger's origin.
    pub(crate) ledger: String,
    /// The trial.
    pub(crate) trial: String,
    /// You, as the record names you.
    pub(crate) signer: String,
    /// What you accept with it.
    pub(crate) accepts: &'static str,
}

/// A passkey that somebody signs with.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SigningKey {
    /// The actor who signs with it. That it is theirs, only they can tell.
    pub(crate) holder: Text,
    /// Their name as it is printed.
    pub(crate) name: Name,
    /// The passkey.
    pub(crate) passkey: Passkey,
    /// The policy that they accepted.
    pub(crate) accepts: Text,
    /// Whether they still sign with it.
    pub(crate) in_use: bool,
    /// When it was registered.
    pub(crate) registered: Act,
    /// When it was revoked, and why, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revoked: Option<Act>,
}

impl SigningKeyList {
    /// The passkey that somebody has in use.
    pub(crate) fn in_use_by(&self, holder: &str) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.in_use && key.holder.as_str() == holder)
    }

    fn take(&mut self, header: &Header, event: Event) {
        match event {
            Event::SigningKeyRegistered(event) => self.keys.push(SigningKey {
                holder: event.holder,
                name: event.name,
                passkey: event.passkey,
                accepts: event.accepts,
                in_use: true,
                registered: Act::of(header, None),
                revoked: None,
            }),
            Event::SigningKeyRevoked(event) => {
                let of = |key: &&mut SigningKey| key.passkey.credential == event.credential;
                if let Some(key) = self.keys.iter_mut().find(of) {
                    key.in_use = false;
                    key.revoked = Some(Act::of(header, Some(event.reason)));
                }
            }
            _ => {}
        }
    }
}

/// Which passkeys people sign with, and what each accepted who registered one.
#[utoipa::path(
    tag = "Record",
    security(("bearer" = [])),
    params(("trial" = String, Path, description = "The trial's id")),
    responses(
        (status = 200, body = SigningKeyList),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/signing-keys")]
pub(crate) async fn list(
    query: Data<Query>,
    principal: Principal,
    trial: Path<String>,
) -> Result<Json<SigningKeyList>, Problem> {
    query.signing_keys(&principal, &trial).await.map(Json)
}

impl Query {
    /// The passkeys of a trial, for somebody who may see it.
    pub(crate) async fn signing_keys(
        self: &Arc<Self>,
        principal: &Principal,
        trial: &str,
    ) -> Result<SigningKeyList, Problem> {
        let (trial, _) = self.trial(principal, trial).await?;
        require(principal, Permission::ReadRecord)?;
        let statement = SigningKeyStatement {
            format: KEY_FORMAT,
            ledger: self.parts.events.origin().to_owned(),
            trial: trial.to_string(),
            signer: principal.actor.clone(),
            accepts: POLICY,
        };
        let mut keys = SigningKeyList { statement, keys: Vec::new() };
        for (header, event) in self.acts(&trial, "signing-key.").await? {
            keys.take(&header, event);
        }
        Ok(keys)
    }
}

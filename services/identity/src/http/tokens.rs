//! `/v1/tokens`: bearer tokens for systems and people, made and revoked by an administrator.

use actix_web::web::{Data, Json, Path, Query};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use serde::{Deserialize, Serialize};
use trialseal_access::Principal;
use trialseal_runtime::problem::Problem;
use trialseal_store::TokenRow;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::manage::What;
use super::{administrator, by};
use crate::Identity;
use crate::grants::time;
use crate::tokens::NewToken;

/// A token as it is shown once.
#[derive(Serialize, ToSchema)]
struct MadeToken {
    /// The token. It is not stored and cannot be shown again.
    token: String,
    #[serde(flatten)]
    described: Token,
}

/// A token, without the token itself.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Token {
    /// Its id, by which it is revoked.
    pub(super) id: Uuid,
    /// Who holds it.
    pub(super) actor: String,
    /// The role.
    pub(super) role: String,
    /// The organisation that its holder acts for.
    pub(super) organisation: String,
    /// The system that it sends from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_system: Option<String>,
    /// The trials that it reaches; left out, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) trials: Option<Vec<trialseal_record::TrialId>>,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<String>,
    /// Whether it has been revoked.
    pub(super) revoked: bool,
}

impl Token {
    fn of(row: TokenRow) -> Self {
        Self {
            id: row.id,
            actor: row.actor,
            role: row.role,
            organisation: row.organisation,
            source_system: row.source_system,
            trials: row.trials,
            expires: row.expires.map(time),
            revoked: row.revoked,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct TokenList {
    /// By actor.
    tokens: Vec<Token>,
}

/// Why something is taken back.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Because {
    /// Stands in the record.
    pub(super) reason: Option<String>,
}

/// Makes a token.
///
/// It is in this answer and nowhere else. That it was made stands in the record (`role.granted`) before it counts. If the
/// answer is lost, revoke the token and make another.
#[utoipa::path(
    tag = "Access", security(("bearer" = [])), request_body = NewToken,
    responses(
        (status = 201, description = "The token", body = MadeToken),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not for this role, or not for these trials", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It cannot be recorded at the moment", body = Problem, content_type = "application/problem+json"),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not application/json", body = Problem, content_type = "application/problem+json"),
    ),
)]
#[post("/v1/tokens")]
pub(super) async fn create(
    principal: Principal,
    identity: Data<Identity>,
    request: HttpRequest,
    new: Json<NewToken>,
) -> Result<HttpResponse, Problem> {
    administrator(&principal)?;
    let made = identity.give_token(&principal, &by(&principal, &request), new.into_inner()).await?;
    let (token, row) = made;
    Ok(HttpResponse::Created()
        .json(MadeToken { token: token.reveal().to_owned(), described: Token::of(row) }))
}

/// Lists tokens, revoked ones too, without the tokens themselves.
#[utoipa::path(
    tag = "Access", security(("bearer" = [])),
    responses(
        (status = 200, description = "The tokens", body = TokenList),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not for this role", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached", body = Problem, content_type = "application/problem+json"),
    ),
)]
#[get("/v1/tokens")]
pub(super) async fn list(principal: Principal, identity: Data<Identity>) -> Result<HttpResponse, Problem> {
    administrator(&principal)?;
    let tokens = identity.tokens_for(&principal).await?.into_iter().map(Token::of).collect();
    Ok(HttpResponse::Ok().json(TokenList { tokens }))
}

/// Revokes a token; it is refused from the next request on. Stands in the record (`role.revoked`).
#[utoipa::path(
    tag = "Access", security(("bearer" = [])), params(("token" = Uuid, Path, description = "The token's id"), Because),
    responses(
        (status = 204, description = "It is revoked"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not for this role", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such token", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It is revoked, and will be recorded", body = Problem, content_type = "application/problem+json"),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
    ),
)]
#[delete("/v1/tokens/{token}")]
pub(super) async fn revoke(
    principal: Principal,
    identity: Data<Identity>,
    request: HttpRequest,
    id: Path<Uuid>,
    because: Query<Because>,
) -> Result<HttpResponse, Problem> {
    administrator(&principal)?;
    let by = by(&principal, &request);
    identity.take_back(&principal, &by, What::Token(*id), because.reason.as_deref()).await?;
    Ok(HttpResponse::NoContent().finish())
}

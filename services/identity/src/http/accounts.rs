//! `/v1/accounts`: accounts of people, made and disabled by an administrator, who never knows their passwords.

use actix_web::web::{Data, Json, Path, Query};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use serde::Serialize;
use trialseal_access::Principal;
use trialseal_runtime::problem::Problem;
use trialseal_store::AccountRow;
use utoipa::ToSchema;
use uuid::Uuid;

use super::manage::What;
use super::tokens::Because;
use super::{administrator, by};
use crate::Identity;
use crate::accounts::{Invited, NewAccount};
use crate::grants::time;

/// A link to choose a password or a passkey by.
#[derive(Serialize, ToSchema)]
struct Invitation {
    /// The account's id.
    id: Uuid,
    /// The account's actor.
    actor: String,
    /// The link, to be given to the account's holder. It works once, and is not shown again.
    link: String,
    /// When it ends.
    expires: String,
}

/// An account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "what it answers, of which nothing follows from another")]
struct Account {
    /// Its id.
    id: Uuid,
    /// The name to log in by; none where a provider vouches for its holder.
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<String>,
    /// The provider that vouches for its holder.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// Stands in the header of everything its holder records.
    actor: String,
    /// The role.
    role: String,
    /// The organisation that its holder acts for.
    organisation: String,
    /// The trials that it reaches; left out, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    trials: Option<Vec<trialseal_record::TrialId>>,
    /// Whether its holder has chosen a password.
    has_password: bool,
    /// Whether they have a passkey.
    has_passkey: bool,
    /// Whether it has been disabled.
    disabled: bool,
    /// Whether the provider gives its holder no role at present.
    withdrawn: bool,
}

impl Account {
    fn of(row: AccountRow, has_passkey: bool) -> Self {
        Self {
            id: row.id,
            login: row.login,
            issuer: row.subject.map(|(issuer, _)| issuer),
            actor: row.actor,
            role: row.role,
            organisation: row.organisation,
            trials: row.trials,
            has_password: row.password.is_some(),
            has_passkey,
            disabled: row.disabled,
            withdrawn: row.withdrawn,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct AccountList {
    /// By id.
    accounts: Vec<Account>,
}

impl Identity {
    /// A link as people can follow it; a path where nobody has said where the service is reached.
    pub(crate) fn link_of(&self, invited: &Invited) -> String {
        format!("{}{}", self.parts.address.as_deref().unwrap_or_default(), invited.path())
    }
}

fn invitation(identity: &Identity, invited: Invited) -> HttpResponse {
    HttpResponse::Created().json(Invitation {
        link: identity.link_of(&invited),
        id: invited.account.id,
        actor: invited.account.actor,
        expires: time(invited.expires),
    })
}

/// Makes an account, and a link by which its holder chooses a password.
///
/// The link is in this answer and nowhere else; it works once, within three days. That the account was made stands in the
/// record (`role.granted`).
#[utoipa::path(
    tag = "Access", security(("bearer" = [])), request_body = NewAccount,
    responses(
        (status = 201, description = "The link", body = Invitation),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not for this role, or not for these trials", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is an account with this login name", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The content is not valid", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It cannot be recorded at the moment", body = Problem, content_type = "application/problem+json"),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not application/json", body = Problem, content_type = "application/problem+json"),
    ),
)]
#[post("/v1/accounts")]
pub(super) async fn create(
    principal: Principal,
    identity: Data<Identity>,
    request: HttpRequest,
    new: Json<NewAccount>,
) -> Result<HttpResponse, Problem> {
    administrator(&principal)?;
    let invited = identity.give_account(&principal, &by(&principal, &request), new.into_inner()).await?;
    Ok(invitation(&identity, invited))
}

/// Lists accounts, disabled ones too.
#[utoipa::path(
    tag = "Access", security(("bearer" = [])),
    responses(
        (status = 200, description = "The accounts", body = AccountList),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not for this role", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached", body = Problem, content_type = "application/problem+json"),
    ),
)]
#[get("/v1/accounts")]
pub(super) async fn list(principal: Principal, identity: Data<Identity>) -> Result<HttpResponse, Problem> {
    administrator(&principal)?;
    let with_passkey = identity.with_passkey().await?;
    let accounts = identity.accounts_for(&principal).await?.into_iter();
    let accounts = accounts.map(|row| {
        let has_passkey = with_passkey.contains(&row.id);
        Account::of(row, has_passkey)
    });
    let accounts = accounts.collect();
    Ok(HttpResponse::Ok().json(AccountList { accounts }))
}

/// Makes another link for an account, for somebody who has lost theirs or forgotten the password. Earlier links end; the
/// password and the sessions end when the new one is taken up. Both stand in the record (`account.invited`,
/// `account.password-chosen`).
#[utoipa::path(
    tag = "Access", security(("bearer" = [])), params(("account" = Uuid, Path, description = "The account's id")),
    responses(
        (status = 201, description = "The link", body = Invitation),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not for this role", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is disabled, or a provider's", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached", body = Problem, content_type = "application/problem+json"),
    ),
)]
#[post("/v1/accounts/{account}/invitations")]
pub(super) async fn invite(
    principal: Principal,
    identity: Data<Identity>,
    request: HttpRequest,
    id: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    administrator(&principal)?;
    let invited = identity.invite_again(&principal, &by(&principal, &request), *id).await?;
    Ok(invitation(&identity, invited))
}

/// Disables an account for good: its sessions and links end at once. Stands in the record (`role.revoked`).
#[utoipa::path(
    tag = "Access", security(("bearer" = [])), params(("account" = Uuid, Path, description = "The account's id"), Because),
    responses(
        (status = 204, description = "It is disabled"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not for this role", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "It is disabled, and will be recorded", body = Problem, content_type = "application/problem+json"),
        (status = 400, description = "The request cannot be read", body = Problem, content_type = "application/problem+json"),
    ),
)]
#[delete("/v1/accounts/{account}")]
pub(super) async fn disable(
    principal: Principal,
    identity: Data<Identity>,
    request: HttpRequest,
    id: Path<Uuid>,
    because: Query<Because>,
) -> Result<HttpResponse, Problem> {
    administrator(&principal)?;
    let by = by(&principal, &request);
    identity.take_back(&principal, &by, What::Account(*id), because.reason.as_deref()).await?;
    Ok(HttpResponse::NoContent().finish())
}

//! `/access`: the page on which an administrator gives roles to others and takes them back.

use std::fmt::Write as _;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Form};
use actix_web::{HttpRequest, HttpResponse, get, post};
use serde::Deserialize;
use trialseal_access::{Permission, Principal};
use trialseal_record::Role;
use trialseal_runtime::html::{escape, page_of};
use trialseal_runtime::problem::{Problem, ProblemKind};
use uuid::Uuid;

use super::manage::What;
use super::{by, go_to};
use crate::Identity;
use crate::accounts::NewAccount;
use crate::grants::time;
use crate::problems::forbidden;
use crate::tokens::NewToken;

/// What both forms have.
#[derive(Deserialize)]
struct Given {
    form: String,
    #[serde(default)]
    login: String,
    #[serde(default)]
    actor: String,
    role: String,
    organisation: String,
    #[serde(default)]
    source_system: String,
    #[serde(default)]
    trials: String,
    #[serde(default)]
    participant: String,
    #[serde(default)]
    days: String,
}

#[derive(Deserialize)]
struct Ended {
    form: String,
    kind: String,
    id: Uuid,
    #[serde(default)]
    reason: String,
}

#[get("/access")]
pub(super) async fn page(identity: Data<Identity>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let Some(logged_in) = identity.of_browser(&request).await? else { return Ok(go_to("/login")) };
    if !logged_in.principal.may(Permission::ManageAccess) {
        return Err(forbidden("Your role gives no roles to others."));
    }
    let main = identity.access(&logged_in.principal, &logged_in.form_token).await?;
    Ok(page_of(StatusCode::OK, "Access", identity.parts.events.origin(), &main))
}

#[post("/access/accounts")]
pub(super) async fn new_account(
    identity: Data<Identity>,
    request: HttpRequest,
    given: Form<Given>,
) -> Result<HttpResponse, Problem> {
    let principal = identity.administrator(&request, &given.form).await?;
    let given = given.into_inner();
    let new = NewAccount {
        login: given.login,
        role: given.role,
        organisation: given.organisation,
        actor: filled(given.actor),
        trials: listed(&given.trials),
        participant: filled(given.participant),
    };
    let invited = identity.give_account(&principal, &by(&principal, &request), new).await?;
    let said =
        "Give this link to the account's holder. It works once, within three days, and is not shown again.";
    Ok(shown_once(&identity, "A new account", said, &identity.link_of(&invited)))
}

#[post("/access/tokens")]
pub(super) async fn new_token(
    identity: Data<Identity>,
    request: HttpRequest,
    given: Form<Given>,
) -> Result<HttpResponse, Problem> {
    let principal = identity.administrator(&request, &given.form).await?;
    let given = given.into_inner();
    let days = filled(given.days).map(|days| {
        days.parse().map_err(|_| Problem::new(ProblemKind::Invalid, "Days is a whole number from 1 to 3650."))
    });
    let new = NewToken {
        actor: given.actor,
        role: given.role,
        organisation: given.organisation,
        source_system: filled(given.source_system),
        trials: listed(&given.trials),
        participant: filled(given.participant),
        expires_in_days: days.transpose()?,
    };
    let (token, _) = identity.give_token(&principal, &by(&principal, &request), new).await?;
    let said = "Give this token to its holder. It is not shown again.";
    Ok(shown_once(&identity, "A new token", said, token.reveal()))
}

#[post("/access/end")]
pub(super) async fn take_back(
    identity: Data<Identity>,
    request: HttpRequest,
    ended: Form<Ended>,
) -> Result<HttpResponse, Problem> {
    let principal = identity.administrator(&request, &ended.form).await?;
    let what = match ended.kind.as_str() {
        "token" => What::Token(ended.id),
        "account" => What::Account(ended.id),
        _ => return Err(Problem::new(ProblemKind::Malformed, "There is nothing of this kind.")),
    };
    let by = by(&principal, &request);
    identity.take_back(&principal, &by, what, Some(&ended.reason)).await?;
    Ok(go_to("/access"))
}

fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.trim().is_empty())
}

/// Ids parted by blanks or commas; `None` where nothing was typed.
fn listed(text: &str) -> Option<Vec<String>> {
    let ids = text.split([' ', ',', '\n', '\r']).filter(|id| !id.is_empty()).map(str::to_owned);
    filled(text.to_owned()).map(|_| ids.collect())
}

fn shown_once(identity: &Identity, title: &str, said: &str, secret: &str) -> HttpResponse {
    let main = format!(
        "<h1>{title}</h1><p>{said}</p><pre><code>{}</code></pre><p><a href=\"/access\">Back</a></p>",
        escape(secret)
    );
    page_of(StatusCode::OK, title, identity.parts.events.origin(), &main)
}

impl Identity {
    async fn access(&self, principal: &Principal, form: &str) -> Result<String, Problem> {
        let mut html = String::from(
            "<h1>Access</h1><p>Every account and every token stands in the record, as does its end.</p><h2>Accounts</h2>",
        );
        let accounts = self.accounts_for(principal).await?;
        let with_passkey = self.with_passkey().await?;
        let rows = accounts.iter().map(|account| {
            let name = account.login.as_deref().unwrap_or("at the provider");
            let is_taken_up =
                account.password.is_some() || account.subject.is_some() || with_passkey.contains(&account.id);
            let state = match (account.disabled, is_taken_up) {
                (true, _) => "disabled".to_owned(),
                _ if account.withdrawn => {
                    format!("no role at the provider {}", end_form(form, "account", account.id, "Disable"))
                }
                (false, true) => end_form(form, "account", account.id, "Disable"),
                (false, false) => format!("invited {}", end_form(form, "account", account.id, "Disable")),
            };
            [
                name.to_owned(),
                account.actor.clone(),
                account.role.clone(),
                account.organisation.clone(),
                of(account.trials.as_deref()),
                state,
            ]
        });
        table(&mut html, "Login", rows);
        html.push_str(&new_form(form, "accounts", "New account", true));
        html.push_str("<h2>Tokens</h2>");
        let tokens = self.tokens_for(principal).await?;
        let rows = tokens.iter().map(|token| {
            let state = if token.revoked {
                "revoked".to_owned()
            } else {
                let until =
                    token.expires.map(|end| format!("until {} ", escape(time(end)))).unwrap_or_default();
                until + &end_form(form, "token", token.id, "Revoke")
            };
            let system = token.source_system.clone().unwrap_or_default();
            [
                system,
                token.actor.clone(),
                token.role.clone(),
                token.organisation.clone(),
                of(token.trials.as_deref()),
                state,
            ]
        });
        table(&mut html, "System", rows);
        html.push_str(&new_form(form, "tokens", "New token", false));
        Ok(html)
    }
}

fn of(trials: Option<&[trialseal_record::TrialId]>) -> String {
    let Some(trials) = trials else { return "all".to_owned() };
    trials.iter().map(trialseal_record::TrialId::as_str).collect::<Vec<_>>().join(", ")
}

/// The last cell is HTML, the others are plain text.
fn table(html: &mut String, first: &str, rows: impl Iterator<Item = [String; 6]>) {
    // Writing to a string does not fail.
    let _ = write!(
        html,
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">{first}</th><th scope=\"col\">Actor</th>\
         <th scope=\"col\">Role</th><th scope=\"col\">Organisation</th><th scope=\"col\">Trials</th>\
         <th scope=\"col\"></th></tr></thead><tbody>"
    );
    for [first, actor, role, organisation, trials, last] in rows {
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{last}</td></tr>",
            escape(first),
            escape(actor),
            escape(role),
            escape(organisation),
            escape(trials)
        );
    }
    html.push_str("</tbody></table></div>");
}

fn end_form(form: &str, kind: &str, id: Uuid, button: &str) -> String {
    format!(
        "<form class=\"bar\" method=\"post\" action=\"/access/end\"><input type=\"hidden\" name=\"form\" value=\"{form}\">\
         <input type=\"hidden\" name=\"kind\" value=\"{kind}\"><input type=\"hidden\" name=\"id\" value=\"{id}\">\
         <input name=\"reason\" aria-label=\"Reason\" placeholder=\"Reason\" required><button>{button}</button></form>"
    )
}

fn new_form(form: &str, to: &str, title: &str, account: bool) -> String {
    let roles = Role::ALL.into_iter().filter(|role| *role != Role::System);
    let roles: Vec<_> = roles.map(|role| format!("<option>{role}</option>")).collect();
    let roles = roles.concat();
    let field = |name: &str, label: &str, required: bool| {
        let required = if required { " required" } else { "" };
        format!(
            "<label for=\"{to}-{name}\">{label}</label><input id=\"{to}-{name}\" name=\"{name}\"{required}>"
        )
    };
    let (own, last) = if account {
        (
            field("login", "Login name", true) + &field("actor", "Actor (made where it is left out)", false),
            String::new(),
        )
    } else {
        (
            field("actor", "Actor", true) + &field("source_system", "System that it sends from", false),
            field("days", "Days until it ends", false),
        )
    };
    format!(
        "<details><summary>{title}</summary><form class=\"form\" method=\"post\" action=\"/access/{to}\">\
         <input type=\"hidden\" name=\"form\" value=\"{form}\">{own}\
         <label for=\"{to}-role\">Role</label><select id=\"{to}-role\" name=\"role\">{roles}</select>{}{}{last}\
         <button>Make</button></form></details>",
        field("organisation", "Organisation", true),
        field("trials", "Trials (all where it is left out)", false)
            + &field("participant", "Participant (for that role alone)", false)
    )
}

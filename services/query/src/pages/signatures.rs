//! `GET /trials/{trial}/participants/{id}/signatures`: who has signed a participant's record, and the place to sign it.

use std::fmt::Write as _;

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use serde::Serialize;
use trialseal_access::Permission;
use trialseal_access::http::Reader;
use trialseal_record::Role;
use trialseal_runtime::html::{escape, grouped, page_with_script, time};
use trialseal_runtime::problem::Problem;

use crate::Query;
use crate::http::{SignatureList, SigningKeyList};

/// What each meaning is, for those who choose one.
const MEANINGS: [(&str, &str); 4] = [
    ("authorship", "I wrote it, or had it written"),
    ("review", "I have gone through it"),
    ("approval", "I agree to it"),
    ("responsibility", "I answer for it"),
];

#[get("/trials/{trial}/participants/{id}/signatures")]
pub(crate) async fn page(
    query: Data<Query>,
    reader: Reader,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (trial, participant) = path.into_inner();
    let list = query.signatures_for(&reader, &trial, &participant).await?;
    let keys = query.signing_keys(&reader.principal, &trial).await?;
    let mut main = format!(
        "<h1>Signatures</h1><p>On the record of participant <code>{}</code> in the trial <code>{}</code>, which has {} \
         events.</p>",
        escape(&participant),
        escape(&trial),
        grouped(list.statement.version)
    );
    main.push_str(&table(&list));
    if reader.principal.may(Permission::Submit)
        && matches!(reader.principal.role, Role::Investigator | Role::SiteStaff)
    {
        main.push_str(&form(&list, &keys, reader.principal.role)?);
    }
    Ok(page_with_script("Signatures", query.parts.events.origin(), &main, "/sign.js"))
}

fn table(list: &SignatureList) -> String {
    if list.signatures.is_empty() {
        return "<p>Nobody has signed it.</p>".to_owned();
    }
    let mut html = String::from(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Meaning</th>\
         <th scope=\"col\">Time</th><th scope=\"col\">Version</th><th scope=\"col\">State</th></tr></thead><tbody>",
    );
    for signature in &list.signatures {
        let state = match &signature.superseded {
            None => "in force".to_owned(),
            Some(change) => {
                format!("superseded by <code>{}</code> {}", escape(&change.kind), time(&change.time))
            }
        };
        let _ = write!(
            html,
            "<tr><td>{}<br><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td><td>{state}</td></tr>",
            escape(&signature.name),
            escape(&signature.signer),
            signature.meaning,
            time(&signature.time),
            grouped(signature.version)
        );
    }
    html.push_str("</tbody></table></div>");
    html
}

/// What signs: a passkey in use, or the form by which one is registered. The script finds here all that it needs.
fn form(list: &SignatureList, keys: &SigningKeyList, role: Role) -> Result<String, Problem> {
    let Some(key) = keys.in_use_by(&list.statement.signer) else {
        return Ok(format!(
            "<h2>Begin to sign</h2><p>To sign you need a passkey in this trial: a key that your device keeps and uses once you \
             have shown that you are there, by a finger or a PIN. You will be asked twice: to make it, and to accept with it:</p>\
             <blockquote>{}</blockquote><form class=\"form\" id=\"register\" data-statement=\"{}\">\
             <label for=\"name\">Your name as it is printed with your signatures</label><input id=\"name\" name=\"name\" \
             required maxlength=\"200\" autocomplete=\"name\"><button>Accept, and make a passkey</button></form>{NOTICE}",
            escape(keys.statement.accepts),
            attribute(&keys.statement)?
        ));
    };
    let mut options = String::new();
    for (meaning, says) in
        MEANINGS.iter().filter(|(meaning, _)| role != Role::SiteStaff || *meaning == "authorship")
    {
        let _ = write!(options, "<option value=\"{meaning}\">{meaning}: {says}</option>");
    }
    Ok(format!(
        "<h2>Sign version {}</h2><p>You sign all that is recorded of this participant up to now, as <strong>{}</strong>: read it \
         first (<a href=\"/v1/trials/{}/participants/{}/timeline?limit=1000\">as JSON</a>, or where you work with it). Whatever is recorded later supersedes your signature.</p><form class=\"form\" id=\"sign\" \
         data-statement=\"{}\" data-name=\"{}\" data-credential=\"{}\"><label for=\"meaning\">What your signature means</label>\
         <select id=\"meaning\" name=\"meaning\">{options}</select><button>Sign</button></form>{NOTICE}",
        grouped(list.statement.version),
        escape(&key.name),
        escape(&list.statement.trial),
        escape(list.statement.record.trim_start_matches("participant/")),
        attribute(&list.statement)?,
        escape(&key.name),
        escape(&key.passkey.credential),
    ))
}

/// JSON as it stands in an attribute.
fn attribute(value: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map(escape).map_err(|error| Problem::internal(&error))
}

/// Where the script says what became of it.
const NOTICE: &str =
    "<p id=\"notice\" role=\"status\"></p><noscript><p>Passkeys need JavaScript.</p></noscript>";

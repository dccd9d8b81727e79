//! `GET /trials/{trial}/participants`: the participants of a trial at a glance, and the way to their signatures.

use std::fmt::Write as _;

use actix_web::web::{Data, Path, Query as Parameters};
use actix_web::{HttpResponse, get};
use serde::Deserialize;
use trialseal_access::Permission;
use trialseal_access::http::Reader;
use trialseal_record::values::Reading;
use trialseal_record::view::ParticipantView;
use trialseal_runtime::html::{escape, grouped, page, time};
use trialseal_runtime::problem::Problem;

use crate::Query;
use crate::http::After;
use crate::problems::require;
use crate::reading::Subjects;

/// Participants on one page.
const SHOWN: u32 = 200;

/// Where the list goes on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Next {
    after: Option<After>,
}

#[get("/trials/{trial}/participants")]
pub(crate) async fn list(
    query: Data<Query>,
    reader: Reader,
    trial: Path<String>,
    next: Parameters<Next>,
) -> Result<HttpResponse, Problem> {
    let (trial, _) = query.trial(&reader.principal, &trial).await?;
    require(&reader.principal, Permission::ReadParticipantData)?;
    let after = next.after.as_ref().map(After::as_str);
    let found = query.list::<ParticipantView>(&trial, "", after, SHOWN).await?;
    let mut subjects = Subjects::default();
    found.views.iter().for_each(|view| subjects.see(view.participant));
    if let Some(whose) = subjects.whose() {
        query.record_reading(&reader, &trial, Reading::Participants, whose, None).await?;
    }
    let mut main = format!("<h1>Participants</h1><p>Of the trial <code>{}</code>.</p>", escape(&trial));
    main.push_str(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Number</th><th scope=\"col\">Events</th>\
         <th scope=\"col\">Newest</th><th scope=\"col\">Signatures</th></tr></thead><tbody>",
    );
    for view in &found.views {
        let Some(participant) = view.participant else { continue };
        let number =
            view.subject_number.as_ref().map_or_else(|| participant.to_string(), ToString::to_string);
        let _ = write!(
            main,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td><a href=\"/trials/{}/participants/{participant}/signatures\">See and \
             sign</a></td></tr>",
            escape(number),
            grouped(view.events),
            time(&view.last_recorded),
            escape(&trial)
        );
    }
    main.push_str("</tbody></table></div>");
    if let Some(next) = found.next {
        let _ = write!(main, "<p><a href=\"?after={}\">Further participants</a></p>", escape(next));
    }
    Ok(page("Participants", query.parts.events.origin(), &main))
}

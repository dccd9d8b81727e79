//! `GET /`: how the ledger stands, for whoever comes; the trials' overviews for whoever has logged in, and to everybody
//! those of the trials that the operator set to be public.

use std::fmt::Write as _;
use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use trialseal_access::{Permission, Principal};
use trialseal_record::ids::TrialId;
use trialseal_record::view::{Counts, Overview};
use trialseal_runtime::html::{escape, grouped, page, time};
use trialseal_runtime::problem::Problem;
use trialseal_seal::checkpoint::{Checkpoint, verify_cosignature};
use trialseal_seal::note::SignedNote;
use trialseal_seal::seal::Seal;
use trialseal_seal::tiles::timestamp_path;
use trialseal_seal::time::Timestamp;
use trialseal_store::{StoreError, proofs};

use crate::Query;
use crate::problems::store;

/// Seals in the list of the newest.
const NEWEST_SEALS: u64 = 8;
/// What a stranger is offered.
const LOG_IN: &str =
    "<h2>Trials</h2><p><a href=\"/login\">Log in</a> to see the trials that your account reaches.</p>";
/// Trials shown; the API lists them all.
const SHOWN_TRIALS: u32 = 50;

#[get("/")]
pub(crate) async fn get(query: Data<Query>, principal: Option<Principal>) -> Result<HttpResponse, Problem> {
    let seals = query.newest_seals().await?;
    let mut main = String::from("<h1>Integrity</h1>");
    main.push_str(&query.standing(seals.first()).await?);
    if let Some(principal) = &principal {
        main.push_str(&query.trials(principal).await?);
    } else {
        main.push_str(LOG_IN);
        main.push_str(&query.public_trials().await?);
    }
    main.push_str(&newest(&seals));
    let fingerprint = query.parts.trust.fingerprint().to_string();
    main.push_str(&include_str!("explained.html").replace("{fingerprint}", &in_groups(&fingerprint)));
    Ok(page("Integrity", query.parts.events.origin(), &main))
}

impl Query {
    /// The newest published seals, newest first.
    async fn newest_seals(&self) -> Result<Vec<Seal>, Problem> {
        let Some(newest) = self.newest_published().await? else { return Ok(Vec::new()) };
        let from = (newest + 1).saturating_sub(NEWEST_SEALS);
        let limit = u32::try_from(newest + 1 - from).unwrap_or_default();
        let rows = self.parts.seals.seals(from, limit).await.map_err(store)?;
        rows.iter().rev().map(proofs::read_seal).collect::<Result<_, StoreError>>().map_err(store)
    }

    /// Sealed until when, under which checkpoint, and whether the ledger has fallen silent.
    async fn standing(&self, newest: Option<&Seal>) -> Result<String, Problem> {
        let Some(seal) = newest else {
            return Ok(
                "<p class=\"state warn\"><strong>Nothing is sealed yet.</strong> The first seal is made \
                within a heartbeat of the start.</p>"
                    .to_owned(),
            );
        };
        let head = self.parts.events.head().await.map_err(store)?;
        let waiting = head.position.saturating_sub(seal.events);
        let signed = self.newest_signed().await?.unwrap_or(0);
        let silent_micros = self.parts.clock.now().saturating_sub(seal.time.micros());
        let silent_seconds = u64::try_from(silent_micros / 1_000_000).unwrap_or(0);
        let heartbeat = self.parts.heartbeat.as_secs();
        let alive = silent_seconds <= heartbeat.saturating_mul(2);
        let (class, state) = if alive {
            ("good", "Sealing.".to_owned())
        } else {
            (
                "warn",
                format!("Silent for {} seconds: a seal is due every {heartbeat}.", grouped(silent_seconds)),
            )
        };
        let mut html = format!(
            "<p class=\"state {class}\"><strong>{state}</strong> Sealed until {}: whoever keeps the checkpoint below \
             will notice if anything recorded by then is changed, removed or added to.</p><dl class=\"figures\">",
            time(seal.time)
        );
        let mut figures = vec![
            ("Seal", grouped(seal.seal)),
            ("Events sealed", grouped(seal.events)),
            ("Waiting for a published seal", grouped(waiting)),
            ("Trials", grouped(seal.trials)),
            ("Heartbeat", format!("{heartbeat} s")),
        ];
        if self.policy().asks_for_witnesses() {
            figures.push(("Seals waiting for witnesses", grouped(signed.saturating_sub(seal.seal))));
        }
        for (name, figure) in figures {
            // Writing to a String cannot fail.
            let _ = write!(html, "<div><dt>{name}</dt><dd>{figure}</dd></div>");
        }
        html.push_str("</dl>");
        html.push_str(&self.checkpoint().await?);
        Ok(html)
    }

    async fn checkpoint(&self) -> Result<String, Problem> {
        let note = self.parts.seals.newest_note().await.map_err(store)?;
        let read = |note: Vec<u8>| {
            let text = String::from_utf8(note).ok()?;
            let note = SignedNote::parse(&text).ok()?;
            Some((Checkpoint::parse(&note.text).ok()?, self.witnesses(&note, &text)))
        };
        let Some((checkpoint, witnesses)) = note.and_then(|(_, note)| read(note)) else {
            return Ok(String::new());
        };
        let timestamp = self.parts.seals.newest_timestamp().await.map_err(store)?;
        let timestamp = timestamp.map_or_else(String::new, |timestamp| {
            format!(
                "<div><dt>Timestamp</dt><dd><a href=\"/log/{}\">size {}</a> existed by {}</dd></div>",
                timestamp_path(timestamp.size),
                grouped(timestamp.size),
                time(timestamp.time)
            )
        });
        Ok(format!(
            "<h2>Checkpoint</h2><dl class=\"rows\"><div><dt>Origin</dt><dd><code>{}</code></dd></div>\
             <div><dt>Size</dt><dd>{}</dd></div><div><dt>Root</dt><dd><code>{}</code></dd></div>{witnesses}{timestamp}</dl>\
             <p><a href=\"/log/checkpoint\">The signed checkpoint</a></p>",
            escape(&checkpoint.origin),
            grouped(checkpoint.size),
            checkpoint.root
        ))
    }

    /// Who has cosigned a checkpoint, and since when it was enough.
    fn witnesses(&self, note: &SignedNote, text: &str) -> String {
        let cosigned = self.policy().witnesses().filter_map(|witness| {
            let line = note.signatures.iter().find(|line| line.is_by(&witness.key))?;
            let cosigned = time_of(verify_cosignature(&witness.key, &note.text, line).ok()?)?;
            Some(format!("<code>{}</code> {cosigned}", escape(&witness.name)))
        });
        let cosigned: Vec<_> = cosigned.collect();
        let nobody = "nobody: the publication policy asks for no witness".to_owned();
        let who = if cosigned.is_empty() { nobody } else { cosigned.join("<br>") };
        let mut rows = format!("<div><dt>Witnessed by</dt><dd>{who}</dd></div>");
        let quorum_time = self.policy().check(text).ok().and_then(|accepted| accepted.quorum_time);
        if let Some(public) = quorum_time.and_then(time_of) {
            // Writing to a String cannot fail.
            let _ = write!(rows, "<div><dt>Public by</dt><dd>{public}</dd></div>");
        }
        rows
    }

    /// The overviews of the trials that a token reaches.
    async fn trials(self: &Arc<Self>, principal: &Principal) -> Result<String, Problem> {
        let mut html = format!(
            "<h2>Trials</h2><form class=\"bar\" method=\"post\" action=\"/logout\"><span>Logged in as \
             <strong>{}</strong></span> <a href=\"/account\">Your account</a><button>Log out</button></form>",
            escape(principal.role)
        );
        if principal.may(Permission::ManageAccess) {
            html.push_str("<p><a href=\"/access\">Accounts and tokens</a></p>");
        }
        if !principal.may(Permission::ReadRecord) {
            return Ok(html);
        }
        let reached = self.reached(principal, None, SHOWN_TRIALS).await?;
        if reached.is_empty() {
            html.push_str("<p>Your account reaches no trial that has an event yet.</p>");
        }
        html.push_str(&self.cards(&reached, principal.may(Permission::ReadParticipantData)).await?);
        Ok(html)
    }

    /// The overviews that everybody may see.
    async fn public_trials(self: &Arc<Self>) -> Result<String, Problem> {
        let mut public = Vec::new();
        for trial in &self.parts.public_trials {
            if let Some(size) = self.parts.events.trial_size(trial).await.map_err(store)? {
                public.push((trial.clone(), size));
            }
        }
        self.cards(&public, false).await
    }

    async fn cards(self: &Arc<Self>, trials: &[(TrialId, u64)], links: bool) -> Result<String, Problem> {
        let overviews = self.overviews(trials).await?;
        let cards = trials.iter().zip(&overviews);
        Ok(cards.map(|((trial, size), overview)| card(trial, *size, overview.as_ref(), links)).collect())
    }
}

/// Hex digits as people compare them: eight at a time.
fn in_groups(hex: &str) -> String {
    let groups: Vec<_> = hex.as_bytes().chunks(8).map(String::from_utf8_lossy).collect();
    groups.join(" ")
}

/// The end of the year 9999, in POSIX seconds.
const LAST_SECOND: i64 = 253_402_300_799;

/// A witness's time, in POSIX seconds, as a page shows it.
fn time_of(seconds: u64) -> Option<String> {
    let seconds = i64::try_from(seconds).ok().filter(|seconds| *seconds <= LAST_SECOND)?;
    Some(time(Timestamp::from_micros(seconds * 1_000_000)))
}

/// One trial at a glance, with a way to its participants for those who may see them.
fn card(trial: &TrialId, size: u64, overview: Option<&Overview>, links: bool) -> String {
    let title =
        overview.and_then(|overview| overview.title.as_ref()).map_or(trial.as_str(), |title| title.as_str());
    let mut html = format!(
        "<article class=\"card\"><h3>{}</h3><p><code>{}</code> · {} events</p>",
        escape(title),
        escape(trial),
        grouped(size)
    );
    if let Some(overview) = overview {
        html.push_str("<dl class=\"figures small\">");
        for (name, count) in figures(&overview.counts) {
            let _ = write!(html, "<div><dt>{name}</dt><dd>{}</dd></div>", grouped(count));
        }
        html.push_str("</dl>");
        if let Some(version) = overview.protocol_versions.last() {
            let _ = write!(html, "<p>Protocol version {}.</p>", escape(&version.version));
        }
    }
    if links {
        let _ = write!(html, "<p><a href=\"/trials/{}/participants\">Participants</a></p>", escape(trial));
    }
    html.push_str("</article>");
    html
}

fn figures(counts: &Counts) -> [(&'static str, u64); 8] {
    [
        ("Sites", counts.sites),
        ("Participants", counts.participants),
        ("Enrolled", counts.enrolled),
        ("Consents", counts.consents_signed),
        ("Withdrawn", counts.consents_withdrawn),
        ("Records", counts.data_recorded + counts.data_imported),
        ("Corrections", counts.data_corrected),
        ("Adverse events", counts.adverse_events),
    ]
}

fn newest(seals: &[Seal]) -> String {
    if seals.is_empty() {
        return String::new();
    }
    let mut html = String::from(
        "<h2>Newest seals</h2><div class=\"scroll\"><table><thead><tr><th scope=\"col\">Seal</th>\
         <th scope=\"col\">Time</th><th scope=\"col\">Events</th><th scope=\"col\">Trials</th>\
         <th scope=\"col\">Root of the trial map</th></tr></thead><tbody>",
    );
    for seal in seals {
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>",
            grouped(seal.seal),
            time(seal.time),
            grouped(seal.events),
            grouped(seal.trials),
            seal.root
        );
    }
    html.push_str("</tbody></table></div>");
    html
}

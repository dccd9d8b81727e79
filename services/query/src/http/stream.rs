//! `GET /v1/trials/{trial}/stream`: events as they are recorded (Server-Sent Events).

use std::collections::VecDeque;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Bytes, Data, Path, Query as Parameters};
use actix_web::{HttpRequest, HttpResponse, get};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;
use trialseal_access::http::Reader;
use trialseal_access::{Permission, Principal};
use trialseal_record::ids::TrialId;
use trialseal_record::values::{Places, Reading};
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_store::access_log::Whose;
use utoipa::IntoParams;

use crate::Query;
use crate::problems::{require_all_events, store};
use crate::streams::Place;

/// Events read ahead of the reader; while they are not taken, nothing more is read.
const PAGE: u32 = 50;
/// Silence after which a comment says that the stream is alive: below the idle time-out of common proxies.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often to look for news when nothing signals it.
const POLL: Duration = Duration::from_secs(1);
/// How long a stream lasts. Its reader then comes again with `Last-Event-ID`, and a token revoked meanwhile is refused.
const LIFETIME: Duration = Duration::from_mins(15);

/// Where to begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Start {
    /// The place in the trial to begin after, for readers that cannot set `Last-Event-ID`.
    #[param(format = "uint64")]
    after: Option<u64>,
}

/// The events of a trial as Server-Sent Events: those recorded so far, then each as it is recorded. `id` is the event's
/// `trialseq`, `data` what `/events` lists. Resumes after `Last-Event-ID`; without it begins with the first event. Ends
/// after a while, and when the service ends: readers connect again.
#[utoipa::path(
    tag = "Record",
    security(("bearer" = [])),
    params(
        ("trial" = String, Path, description = "The trial's id"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The place in the trial to begin after"),
        Start,
    ),
    responses(
        (status = 200, description = "Server-Sent Events", body = String, content_type = "text/event-stream"),
        (status = 400, description = "There is no event at the place to begin after", body = Problem,
            content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The caller has too many streams open", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Too many streams", body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/trials/{trial}/stream")]
pub(crate) async fn get(
    query: Data<Query>,
    reader: Reader,
    trial: Path<String>,
    start: Parameters<Start>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (trial, size) = query.trial(&reader.principal, &trial).await?;
    require_all_events(&reader.principal)?;
    let next = first(last_event(&request)?.or(start.after), size)?;
    let place = query.streams.take(&reader.principal.actor)?;
    if reader.principal.may(Permission::ReadParticipantData) {
        // Whose data will come is not known yet.
        let places = Places { first: next, last: None };
        query.record_reading(&reader, &trial, Reading::Stream, Whose::Trial, Some(places)).await?;
    }
    let live = Live {
        recorded: query.parts.progress.recorded(),
        query,
        principal: reader.principal,
        trial,
        next,
        ready: VecDeque::from([Bytes::from_static(b"retry: 2000\n\n")]),
        ends: Instant::now() + LIFETIME,
        _place: place,
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(live.into_stream()))
}

/// The place of the event that the reader saw last, if they say so.
fn last_event(request: &HttpRequest) -> Result<Option<u64>, Problem> {
    let Some(id) = request.headers().get("last-event-id") else { return Ok(None) };
    let place = id.to_str().ok().and_then(|id| id.parse().ok());
    place.map(Some).ok_or_else(|| {
        Problem::new(ProblemKind::Malformed, "Last-Event-ID is the place of an event in the trial, a number.")
    })
}

/// The place to begin at in a trial of `size` events.
fn first(after: Option<u64>, size: u64) -> Result<u64, Problem> {
    match after {
        None => Ok(0),
        Some(after) if after < size => Ok(after + 1),
        Some(_) => {
            Err(Problem::new(ProblemKind::Malformed, "The trial has no event at the place to begin after."))
        }
    }
}

/// A stream under way. It moves when its reader takes something, and not before.
struct Live {
    query: Data<Query>,
    principal: Principal,
    trial: TrialId,
    recorded: watch::Receiver<u64>,
    /// The place of the next event to read.
    next: u64,
    /// What is rendered and not taken yet.
    ready: VecDeque<Bytes>,
    ends: Instant,
    _place: Place,
}

impl Live {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Problem>> {
        stream::try_unfold(self, |mut live| async move {
            let next = live.take().await?;
            Ok(next.map(|bytes| (bytes, live)))
        })
    }

    /// The next bytes to send; `None` at the end.
    async fn take(&mut self) -> Result<Option<Bytes>, Problem> {
        let mut silent_since = Instant::now();
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Ok(Some(bytes));
            }
            let shutdown = self.query.parts.shutdown.clone();
            if Instant::now() >= self.ends || shutdown.is_requested() {
                return Ok(None);
            }
            // What is recorded from here on wakes the wait below.
            self.recorded.borrow_and_update();
            self.read().await?;
            if !self.ready.is_empty() {
                continue;
            }
            if silent_since.elapsed() >= HEARTBEAT {
                silent_since = Instant::now();
                self.ready.push_back(Bytes::from_static(b": still here\n\n"));
                continue;
            }
            tokio::select! {
                () = shutdown.requested() => {}
                () = tokio::time::sleep(POLL) => {}
                Ok(()) = self.recorded.changed() => {}
            }
        }
    }

    async fn read(&mut self) -> Result<(), Problem> {
        let rows = self.query.parts.events.of_trial(&self.trial, self.next, PAGE).await.map_err(store)?;
        if rows.is_empty() {
            return Ok(());
        }
        let places: Vec<_> = rows.iter().map(|row| row.trialseq).collect();
        let entries = self.query.entries(&self.principal, rows).await?;
        for (place, entry) in places.into_iter().zip(entries) {
            let json = serde_json::to_string(&entry).map_err(|error| Problem::internal(&error))?;
            self.ready.push_back(Bytes::from(format!("id: {place}\ndata: {json}\n\n")));
            self.next = place + 1;
        }
        Ok(())
    }
}

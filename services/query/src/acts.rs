//! Acts in a trial's own stream, to list who did what and when. They are shown to some who see no data of events otherwise: they
//! tell nothing of participants.

use std::sync::Arc;

use serde::Serialize;
use trialseal_record::ids::{StreamId, TrialId};
use trialseal_record::{Event, Text};
use trialseal_runtime::problem::Problem;
use trialseal_seal::event::Header;
use trialseal_store::EventRow;
use trialseal_store::body::{self, Body};
use utoipa::ToSchema;

use crate::Query;
use crate::problems::{self, store};

/// Events of the trial's own stream that are read at once.
const PAGE: u32 = 1_000;

/// The event that says so, of which `GET /v1/trials/{trial}/events/{trialseq}/receipt` gives the receipt.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Act {
    /// 0-based place in the trial.
    trialseq: u32,
    /// When it was recorded.
    #[schema(example = "2026-01-01T12:00:00.000000Z")]
    time: String,
    /// By whom.
    actor: String,
    /// Why, where that is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Text>,
}

impl Act {
    /// The act that an event with this header is.
    pub(crate) fn of(header: &Header, reason: Option<Text>) -> Self {
        let (time, actor) = (header.time.to_string(), header.actor.clone());
        Self { trialseq: header.trialseq, time, actor, reason }
    }
}

impl Query {
    /// The events in a trial's own stream whose type begins with `kind`.
    pub(crate) async fn acts(
        self: &Arc<Self>,
        trial: &TrialId,
        kind: &'static str,
    ) -> Result<Vec<(Header, Event)>, Problem> {
        let stream = StreamId::trial(trial);
        let (mut acts, mut from) = (Vec::new(), 0);
        loop {
            let rows = self.parts.events.of_stream(trial, &stream, from, PAGE).await.map_err(store)?;
            let Some(last) = rows.last() else { return Ok(acts) };
            from = last.streamseq + 1;
            acts.extend(self.aside(async move |query| query.acts_among(rows, kind).await).await?);
        }
    }

    async fn acts_among(&self, rows: Vec<EventRow>, kind: &str) -> Result<Vec<(Header, Event)>, Problem> {
        let mut acts = Vec::new();
        for row in rows {
            let header = row.checked_header().map_err(store)?;
            if header.kind.starts_with(kind) {
                let event = self.event_of_trial(&row, &header).await?;
                acts.push((header, event));
            }
        }
        Ok(acts)
    }

    /// An event whose data are the trial's.
    pub(crate) async fn event_of_trial(&self, row: &EventRow, header: &Header) -> Result<Event, Problem> {
        let event = self.event_of(row, header).await?;
        event.ok_or_else(|| problems::damaged(&"the key of the trial's own events was destroyed"))
    }

    /// An event, checked against its header; `None` where its data were erased.
    pub(crate) async fn event_of(&self, row: &EventRow, header: &Header) -> Result<Option<Event>, Problem> {
        let opened = body::open(&self.parts.vault, row, header).await.map_err(problems::body)?;
        let Body::Readable { opening, data } = opened else { return Ok(None) };
        body::check(row, header, &opening, &data).map_err(store)?;
        body::event(header, data).map(Some).map_err(|error| Problem::internal(&error))
    }
}

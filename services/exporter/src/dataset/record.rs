//! The events of a trial, checked one by one, and `record.ndjson`.

use std::io::Write as _;
use std::ops::Range;

use serde_json::{Value, json};
use tokio::runtime::Handle;
use trialseal_seal::canonical;
use trialseal_seal::data::Disclosure;
use trialseal_seal::event::Header;
use trialseal_seal::hash::Sha3;
use trialseal_seal::map::Head;
use trialseal_seal::tree::Frontier;
use trialseal_store::body::{self, Body, Opening};
use trialseal_store::{EventRow, StoreError};

use super::Plan;
use super::archive::Archive;
use super::rights::Rights;
use super::tables::Tables;
use crate::ExporterParts;
use crate::error::ExportError;

/// Events that are read at once.
const PAGE: u32 = 500;

/// Reads the events of a trial, those that its head covers and those that came since.
pub(super) struct Reader<'a> {
    pub(super) parts: &'a ExporterParts,
    pub(super) handle: &'a Handle,
    pub(super) plan: &'a Plan,
    pub(super) head: &'a Head,
}

impl Reader<'_> {
    /// The events under the head: what the dataset holds.
    pub(super) fn under_seal(&self) -> Range<u64> {
        0..self.head.size
    }

    /// The events that are recorded by now and not under the head.
    pub(super) fn since_then(&self) -> Result<Range<u64>, ExportError> {
        let size = self.handle.block_on(self.parts.events.trial_size(&self.plan.trial))?;
        Ok(self.head.size..size.unwrap_or_default())
    }

    /// Gives `take` every event of a range in order, its header checked.
    pub(super) fn for_each(
        &self,
        events: Range<u64>,
        mut take: impl FnMut(&EventRow, &Header) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let mut next = events.start;
        while next < events.end {
            let limit = u32::try_from(events.end - next).unwrap_or(PAGE).min(PAGE);
            let rows = self.handle.block_on(self.parts.events.of_trial(&self.plan.trial, next, limit))?;
            if rows.is_empty() {
                return Err(self.missing(next));
            }
            for row in rows {
                if self.plan.standing.is_recalled() {
                    return Err(ExportError::Recalled);
                }
                if row.trialseq != next {
                    return Err(self.missing(next));
                }
                let header = row.checked_header()?;
                if header.leaf() != row.leaf {
                    let (trial, what) =
                        (self.plan.trial.clone(), "its header is not in canonical form".into());
                    return Err(StoreError::DamagedEvent { trial, trialseq: next, what }.into());
                }
                take(&row, &header)?;
                next += 1;
            }
        }
        Ok(())
    }

    fn missing(&self, trialseq: u64) -> ExportError {
        let what = "it is missing".into();
        StoreError::DamagedEvent { trial: self.plan.trial.clone(), trialseq, what }.into()
    }

    /// Opens the body of an event and checks that it is what was sealed.
    pub(super) fn body(&self, row: &EventRow, header: &Header) -> Result<Body, ExportError> {
        let opened = self.handle.block_on(body::open(&self.parts.vault, row, header))?;
        if let Body::Readable { opening, data } = &opened {
            body::check(row, header, opening, data)?;
        }
        Ok(opened)
    }
}

/// Writes the lines of all events, hands what is shown to the tables, and gives the number of events whose data is
/// withheld. Fails where the events do not give the head's root.
pub(super) fn write(
    reader: &Reader<'_>,
    rights: &Rights,
    archive: &mut Archive,
    mut tables: Option<&mut Tables>,
) -> Result<u64, ExportError> {
    let mut tree = Frontier::<Sha3>::new();
    let mut withheld = 0;
    reader.for_each(reader.under_seal(), |row, header| {
        tree.push(row.leaf);
        let line = match shown(reader, rights, row, header)? {
            Content::Shown { secret, data } => {
                if let Some(tables) = tables.as_deref_mut() {
                    tables.take(row, header, &data)?;
                }
                json!({ "header": header.to_value(), "secret": secret, "data": data })
            }
            Content::Left(fields) => {
                if let Some(tables) = tables.as_deref_mut() {
                    // What was redacted is in no cell.
                    tables.take(row, header, &fields.to_data([]))?;
                }
                json!({ "header": header.to_value(), "fields": fields.to_value() })
            }
            Content::Withheld(reason) => {
                withheld += 1;
                json!({ "header": header.to_value(), "withheld": reason })
            }
        };
        archive.write_all(&canonical::to_vec(&line))?;
        Ok(archive.write_all(b"\n")?)
    })?;
    if tree.root() == reader.head.root {
        return Ok(withheld);
    }
    let what = format!("the events of trial {} do not give the root under the seal", reader.plan.trial);
    Err(StoreError::Damaged(what).into())
}

/// What a line shows of an event's data.
enum Content {
    Shown {
        secret: String,
        data: Value,
    },
    /// What a redaction left of it.
    Left(Disclosure),
    Withheld(&'static str),
}

fn shown(
    reader: &Reader<'_>,
    rights: &Rights,
    row: &EventRow,
    header: &Header,
) -> Result<Content, ExportError> {
    if let Some(why) = rights.withheld(row) {
        return Ok(Content::Withheld(why));
    }
    Ok(match reader.body(row, header)? {
        Body::Erased => Content::Withheld("erased"),
        Body::Readable { data, .. } if !rights.show_data(row, header, &data) => {
            Content::Withheld("no-consent")
        }
        Body::Readable { opening: Opening::Secret(secret), data } => {
            Content::Shown { secret: secret.to_hex(), data }
        }
        Body::Readable { opening: Opening::Redacted(left), .. } => Content::Left(left.fields),
    })
}

//! Events as they are listed and streamed: the header, and the data where the caller may see them.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use trialseal_access::{Permission, Principal};
use trialseal_record::ids::StreamKind;
use trialseal_record::{Event, StreamId};
use trialseal_runtime::problem::Problem;
use trialseal_seal::event::{Header, schema_version};
use trialseal_store::EventRow;
use trialseal_store::body::{self, Body, Opening};
use utoipa::ToSchema;

use crate::Query;
use crate::problems;

/// An event.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct EventEntry {
    /// The event's header: its CloudEvents 1.0 attributes.
    #[schema(value_type = Object)]
    pub(crate) header: Value,
    /// The eventleaf, in hex: what receipts prove.
    pub(crate) eventleaf: String,
    /// The data, unless withheld.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) data: Option<Value>,
    /// Where in the data values were redacted: JSON Pointers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) redacted: Vec<String>,
    /// Why the data are not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) withheld: Option<Withheld>,
}

/// Why data are not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Withheld {
    /// Their key has been destroyed: nobody can read them any more.
    Erased,
    /// The caller's role does not read data, or is blinded to these.
    OutOfScope,
}

/// What a caller gets to see of an event's data.
pub(crate) enum Visible {
    Data { opening: Opening, data: Value },
    Withheld(Withheld),
}

impl EventEntry {
    /// The event itself, where its data are shown and this software knows what they mean.
    pub(crate) fn event(&self) -> Option<Event> {
        let text = |name: &str| self.header[name].as_str();
        let version = schema_version(text("dataschema")?)?;
        Event::from_stored(text("type")?, version, self.data.clone()?).ok()
    }
}

/// Whether a caller reads the data of an event: everybody's by the role, or those about themselves. What the trial's list of readings
/// says of a participant is shown to them as well, by [their access log](crate::http) alone, which leaves out who else was read.
pub(crate) fn opens(principal: &Principal, row: &EventRow) -> bool {
    principal.may(Permission::ReadParticipantData)
        || principal.may(Permission::ReadOwnRecord)
            && (principal.may_see(row.stream) || row.stream == StreamId::access_to_trial(&row.trial))
}

impl Query {
    /// Opens an event's data for a caller whose role may see them, checked against their commitment.
    pub(crate) async fn visible(
        &self,
        principal: &Principal,
        row: &EventRow,
        header: &Header,
    ) -> Result<Visible, Problem> {
        let is_blinded = row.stream.kind() == StreamKind::Blinded && !principal.may(Permission::ReadBlinded);
        if is_blinded || !opens(principal, row) {
            return Ok(Visible::Withheld(Withheld::OutOfScope));
        }
        match body::open(&self.parts.vault, row, header).await.map_err(problems::body)? {
            Body::Readable { opening, data } => {
                body::check(row, header, &opening, &data).map_err(problems::store)?;
                Ok(Visible::Data { opening, data })
            }
            Body::Erased => Ok(Visible::Withheld(Withheld::Erased)),
        }
    }

    /// Events as they are listed.
    pub(crate) async fn entries(
        self: &Arc<Self>,
        principal: &Principal,
        rows: Vec<EventRow>,
    ) -> Result<Vec<EventEntry>, Problem> {
        let principal = principal.clone();
        self.aside(async move |query| {
            let mut entries = Vec::with_capacity(rows.len());
            for row in &rows {
                entries.push(query.entry(&principal, row).await?);
            }
            Ok(entries)
        })
        .await
    }

    async fn entry(&self, principal: &Principal, row: &EventRow) -> Result<EventEntry, Problem> {
        let header = row.checked_header().map_err(problems::store)?;
        let (data, redacted, withheld) = match self.visible(principal, row, &header).await? {
            Visible::Data { opening, data } => (Some(data), opening.hidden().to_vec(), None),
            Visible::Withheld(why) => (None, Vec::new(), Some(why)),
        };
        let eventleaf = row.leaf.to_string();
        Ok(EventEntry { header: header.to_value(), eventleaf, data, redacted, withheld })
    }
}

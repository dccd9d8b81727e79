//! From a batch of events to the documents that it changes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use trialseal_record::Name;
use trialseal_record::event::{DataRecorded, Event};
use trialseal_record::ids::{ParticipantId, Scope, TrialId};
use trialseal_record::view::{DataView, Overview, ParticipantView, Place, Recorded, TimelineEntry, View};
use trialseal_seal::hash::Hash;
use trialseal_store::{Doc, Models, docs};
use trialseal_vault::{DataKey, Vault};
use zeroize::Zeroizing;

use crate::decoded::Decoded;
use crate::error::ProjectorError;

/// How events become documents of one model.
pub(crate) trait Fold: View {
    /// Whether later events can change a document, so that it has to be read before folding.
    const GROWS: bool = true;
    /// Whether documents are about the trial as a whole, whoever the event is about.
    const OF_TRIAL: bool = false;

    /// What tells the documents of a trial apart.
    type Place: std::hash::Hash + Eq + Send;

    /// The place of the document that an event goes into, if it goes into one.
    fn place(event: &Decoded) -> Option<Self::Place>;

    /// The id of the document at a place.
    fn doc_id(place: &Self::Place) -> String;

    /// Folds an event into its document, or into a new one.
    fn fold(document: Option<Self>, recorded: &Recorded<'_>) -> Option<Self>;
}

impl Fold for Overview {
    const OF_TRIAL: bool = true;

    type Place = ();

    fn place(_: &Decoded) -> Option<()> {
        Some(())
    }

    fn doc_id((): &()) -> String {
        String::new()
    }

    fn fold(document: Option<Self>, recorded: &Recorded<'_>) -> Option<Self> {
        let mut overview = document.unwrap_or_default();
        overview.apply(recorded);
        Some(overview)
    }
}

impl Fold for ParticipantView {
    type Place = ParticipantId;

    fn place(event: &Decoded) -> Option<ParticipantId> {
        event.stream.as_participant()
    }

    fn doc_id(participant: &ParticipantId) -> String {
        participant.to_string()
    }

    fn fold(document: Option<Self>, recorded: &Recorded<'_>) -> Option<Self> {
        let mut participant = document.unwrap_or_default();
        participant.apply(recorded);
        Some(participant)
    }
}

impl Fold for TimelineEntry {
    const GROWS: bool = false;

    type Place = (ParticipantId, u64);

    fn place(event: &Decoded) -> Option<Self::Place> {
        Some((event.stream.as_participant()?, event.recorded().streamseq))
    }

    fn doc_id((participant, streamseq): &Self::Place) -> String {
        Self::doc_id(*participant, *streamseq)
    }

    fn fold(_: Option<Self>, recorded: &Recorded<'_>) -> Option<Self> {
        Self::of(recorded)
    }
}

impl Fold for DataView {
    type Place = String;

    /// `<participant, or _>/<place>`. Rows of files are listed in their order; the place of an item group is a
    /// digest under the participant's key, since ids are not encrypted.
    fn place(event: &Decoded) -> Option<String> {
        let (key, content) = event.readable.as_ref()?;
        let whose = event
            .stream
            .as_participant()
            .map_or_else(|| "_".to_owned(), |participant| participant.to_string());
        Some(format!("{whose}/{}", place_id(content, &whose, event, key)?))
    }

    fn doc_id(id: &String) -> String {
        id.clone()
    }

    fn fold(document: Option<Self>, recorded: &Recorded<'_>) -> Option<Self> {
        let mut data = match document {
            Some(data) => data,
            None => Self::new(recorded.event.and_then(Place::of)?, recorded),
        };
        data.apply(recorded);
        Some(data)
    }
}

fn place_id(content: &Event, whose: &str, event: &Decoded, key: &DataKey) -> Option<String> {
    let (visit, form, item_group, repeat) = match content {
        Event::DataImported(row) => return Some(format!("file/{}/{:012}", row.import, row.row)),
        Event::DataRecorded(DataRecorded { record, .. }) => {
            (&record.visit, &record.form, &record.item_group, record.repeat)
        }
        Event::DataCorrected(event) => (&event.visit, &event.form, &event.item_group, event.repeat),
        _ => return None,
    };
    let repeat = repeat.map(|repeat| repeat.to_string());
    let parts = [
        "read-model/data",
        event.trial.as_str(),
        whose,
        visit.as_ref().map(Name::as_str).unwrap_or_default(),
        form.as_str(),
        item_group.as_str(),
        repeat.as_deref().unwrap_or_default(),
    ];
    let digest = Hash::from_bytes(key.digest(&parts.map(str::as_bytes))).to_string();
    Some(format!("form/{}", digest.get(..32)?))
}

/// Bytes of a document as JSON that need no more room than is made at first; larger ones make their own.
const JSON_BYTES: usize = 16 << 10;

/// A document under way, with the key it is to be encrypted under.
struct Sheet<V> {
    trial: TrialId,
    id: String,
    key: Arc<DataKey>,
    document: Option<V>,
}

/// The documents of one generation that change by these events, sealed. However many of the events go into a document,
/// it is read and sealed once; and one is finished before the next is begun, so that few of them take room at a time.
pub(crate) async fn fold<V: Fold>(
    vault: &Vault,
    models: &dyn Models,
    generation: u32,
    events: &[Decoded],
) -> Result<Vec<Doc>, ProjectorError> {
    let (mut sheets, mut steps) = distribute::<V>(vault, events).await?;
    if V::GROWS {
        load(vault, models, generation, &mut sheets).await?;
    }
    // The sort is stable: the events of a document keep their order.
    steps.sort_by_key(|(sheet, _)| *sheet);
    let mut steps = steps.into_iter().peekable();
    let mut json = Zeroizing::new(Vec::with_capacity(JSON_BYTES));
    let mut docs = Vec::with_capacity(sheets.len());
    for (number, sheet) in sheets.into_iter().enumerate() {
        let mut document = sheet.document;
        while let Some((_, event)) = steps.next_if(|(of, _)| *of == number) {
            document = V::fold(document, &event.recorded());
        }
        let Some(document) = document else { continue };
        json.clear();
        serde_json::to_writer(&mut *json, &document).map_err(|_| ProjectorError::OtherForm(V::MODEL))?;
        docs.push(docs::seal(&sheet.key, V::MODEL, &sheet.trial, &sheet.id, &json)?);
    }
    Ok(docs)
}

/// A sheet for each document that these events go into, and each event with the number of its sheet.
async fn distribute<'a, V: Fold>(
    vault: &Vault,
    events: &'a [Decoded],
) -> Result<(Vec<Sheet<V>>, Vec<(usize, &'a Decoded)>), ProjectorError> {
    let mut sheets = Vec::new();
    let mut places = HashMap::new();
    let mut steps = Vec::with_capacity(events.len());
    for event in events.iter().filter(|event| V::OF_TRIAL || event.readable.is_some()) {
        let Some(place) = V::place(event) else { continue };
        let found = match places.entry((&event.trial, place)) {
            Entry::Occupied(sheet) => {
                steps.push((*sheet.get(), event));
                continue;
            }
            Entry::Vacant(found) => found,
        };
        let Some(key) = key_of::<V>(vault, event).await? else { continue };
        let id = V::doc_id(&found.key().1);
        steps.push((sheets.len(), event));
        found.insert(sheets.len());
        sheets.push(Sheet { trial: event.trial.clone(), id, key, document: None });
    }
    Ok((sheets, steps))
}

/// The key that an event's document is encrypted under; `None` once it has been destroyed. A participant's key is never
/// asked for by its scope, which would make a destroyed one anew.
async fn key_of<V: Fold>(vault: &Vault, event: &Decoded) -> Result<Option<Arc<DataKey>>, ProjectorError> {
    if V::OF_TRIAL {
        return Ok(Some(vault.key_of(&Scope::Trial(event.trial.clone())).await?));
    }
    Ok(event.readable.as_ref().map(|(key, _)| Arc::clone(key)))
}

/// Reads the documents as they stand.
async fn load<V: Fold>(
    vault: &Vault,
    models: &dyn Models,
    generation: u32,
    sheets: &mut [Sheet<V>],
) -> Result<(), ProjectorError> {
    let ids: Vec<_> = sheets.iter().map(|sheet| (sheet.trial.clone(), sheet.id.clone())).collect();
    for (sheet, doc) in sheets.iter_mut().zip(models.docs(V::MODEL, generation, &ids).await?) {
        let Some(doc) = doc else { continue };
        if let Some(json) = docs::open(vault, V::MODEL, &doc).await? {
            let document = serde_json::from_slice(&json).map_err(|_| ProjectorError::OtherForm(V::MODEL))?;
            sheet.document = Some(document);
        }
    }
    Ok(())
}

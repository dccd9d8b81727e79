//! From a batch of events to the documents that it changes.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use trialseal_record::Name;
use trialseal_record::event::Event;
use trialseal_record::ids::{Scope, TrialId};
use trialseal_record::view::{DataView, Overview, ParticipantView, Place, Recorded, TimelineEntry, View};
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

    /// The id of the document that an event goes into, if it goes into one.
    fn doc_id(event: &Decoded, vault: &Vault) -> Option<String>;

    /// Folds an event into its document, or into a new one.
    fn fold(document: Option<Self>, recorded: &Recorded<'_>) -> Option<Self>;
}

impl Fold for Overview {
    const OF_TRIAL: bool = true;

    fn doc_id(_: &Decoded, _: &Vault) -> Option<String> {
        Some(String::new())
    }

    fn fold(document: Option<Self>, recorded: &Recorded<'_>) -> Option<Self> {
        let mut overview = document.unwrap_or_default();
        overview.apply(recorded);
        Some(overview)
    }
}

impl Fold for ParticipantView {
    fn doc_id(event: &Decoded, _: &Vault) -> Option<String> {
        event.stream.as_participant().map(|participant| participant.to_string())
    }

    fn fold(document: Option<Self>, recorded: &Recorded<'_>) -> Option<Self> {
        let mut participant = document.unwrap_or_default();
        participant.apply(recorded);
        Some(participant)
    }
}

impl Fold for TimelineEntry {
    const GROWS: bool = false;

    fn doc_id(event: &Decoded, _: &Vault) -> Option<String> {
        Some(Self::doc_id(event.stream.as_participant()?, event.recorded().streamseq))
    }

    fn fold(_: Option<Self>, recorded: &Recorded<'_>) -> Option<Self> {
        Self::of(recorded)
    }
}

impl Fold for DataView {
    /// `<participant, or _>/<place>`. Rows of files are listed in their order; the place of an item group is a keyed
    /// digest, since ids are not encrypted.
    fn doc_id(event: &Decoded, vault: &Vault) -> Option<String> {
        let (_, content) = event.readable.as_ref()?;
        let whose = event
            .stream
            .as_participant()
            .map_or_else(|| "_".to_owned(), |participant| participant.to_string());
        Some(format!("{whose}/{}", place_id(content, &whose, event, vault)?))
    }

    fn fold(document: Option<Self>, recorded: &Recorded<'_>) -> Option<Self> {
        let place = recorded.event.and_then(Place::of)?;
        let mut data = document.unwrap_or_else(|| Self::new(place, recorded));
        data.apply(recorded);
        Some(data)
    }
}

fn place_id(content: &Event, whose: &str, event: &Decoded, vault: &Vault) -> Option<String> {
    match Place::of(content)? {
        Place::File { import, row, .. } => Some(format!("file/{import}/{row:012}")),
        Place::Form { visit, form, item_group, repeat } => {
            let visit = visit.as_ref().map(Name::as_str);
            let repeat = repeat.map(|repeat| repeat.to_string());
            let parts = [
                "read-model/data",
                event.trial.as_str(),
                whose,
                visit.unwrap_or_default(),
                form.as_str(),
                item_group.as_str(),
                repeat.as_deref().unwrap_or_default(),
            ];
            let digest = vault.digest(&parts.map(str::as_bytes));
            Some(digest.iter().take(16).fold(String::from("form/"), |mut id, byte| {
                // Writing to a String cannot fail.
                let _ = write!(id, "{byte:02x}");
                id
            }))
        }
    }
}

/// A document under way, with the key it is to be encrypted under.
struct Sheet<V> {
    trial: TrialId,
    id: String,
    key: Arc<DataKey>,
    document: Option<V>,
}

/// The documents of one generation that change by these events, sealed.
pub(crate) async fn fold<V: Fold>(
    vault: &Vault,
    models: &dyn Models,
    generation: u32,
    events: &[Decoded],
) -> Result<Vec<Doc>, ProjectorError> {
    let mut sheets: Vec<Sheet<V>> = Vec::new();
    let mut places = HashMap::new();
    let mut steps = Vec::new();
    for event in events {
        let Some(id) = V::doc_id(event, vault) else { continue };
        let Some(key) = key_of::<V>(vault, event).await? else { continue };
        let trial = event.trial.clone();
        let place = *places.entry((trial.clone(), id.clone())).or_insert(sheets.len());
        if place == sheets.len() {
            sheets.push(Sheet { trial, id, key, document: None });
        }
        steps.push((place, event));
    }
    if V::GROWS {
        load(vault, models, generation, &mut sheets).await?;
    }
    for (place, event) in steps {
        if let Some(sheet) = sheets.get_mut(place) {
            sheet.document = V::fold(sheet.document.take(), &event.recorded());
        }
    }
    sheets.iter().filter_map(|sheet| sheet.document.as_ref().map(|document| seal(sheet, document))).collect()
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

fn seal<V: Fold>(sheet: &Sheet<V>, document: &V) -> Result<Doc, ProjectorError> {
    let json =
        serde_json::to_vec(document).map(Zeroizing::new).map_err(|_| ProjectorError::OtherForm(V::MODEL))?;
    Ok(docs::seal(&sheet.key, V::MODEL, &sheet.trial, &sheet.id, &json)?)
}

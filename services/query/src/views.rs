//! Reading the read models.

use std::sync::Arc;

use serde::Serialize;
use trialseal_record::ids::TrialId;
use trialseal_record::view::View;
use trialseal_runtime::problem::Problem;
use trialseal_store::{Doc, ModelRow, docs, may_go_on};

use crate::Query;
use crate::problems::{self, damaged, unavailable};

/// How often a model is read again when another generation took over meanwhile.
const TRIES: u32 = 3;

/// A document, and how far its model has come.
#[derive(Debug, Serialize)]
pub(crate) struct Folded<V> {
    /// All events before this ledger position are in it.
    pub(crate) position: u64,
    pub(crate) view: V,
}

/// Documents of a list, and where it goes on.
pub(crate) struct Listed<V> {
    pub(crate) position: u64,
    pub(crate) views: Vec<V>,
    /// The id to go on after, where there may be more.
    pub(crate) next: Option<String>,
}

impl Query {
    /// A document; `None` where there is none, or it can no longer be read.
    pub(crate) async fn document<V: View + Send + 'static>(
        self: &Arc<Self>,
        trial: &TrialId,
        id: &str,
    ) -> Result<Option<Folded<V>>, Problem> {
        Ok(self.documents(vec![(trial.clone(), id.to_owned())]).await?.pop().flatten())
    }

    /// Documents, in the order of `ids`; `None` where there is none, or it can no longer be read.
    pub(crate) async fn documents<V: View + Send + 'static>(
        self: &Arc<Self>,
        ids: Vec<(TrialId, String)>,
    ) -> Result<Vec<Option<Folded<V>>>, Problem> {
        for _ in 0..TRIES {
            let Some(model) = self.active(V::MODEL).await? else {
                return Ok(ids.iter().map(|_| None).collect());
            };
            let docs =
                self.parts.models.docs(V::MODEL, model.generation, &ids).await.map_err(problems::store)?;
            if docs.contains(&None) && !self.is_still(&model).await? {
                continue;
            }
            let views = self.open(docs).await?;
            let folded = |view: Option<V>| Some(Folded { position: model.position, view: view? });
            return Ok(views.into_iter().map(folded).collect());
        }
        Err(unavailable("The read model is being replaced right now."))
    }

    /// Up to `limit` documents of a trial whose ids start with `prefix`. Those that can no longer be read are left out.
    pub(crate) async fn list<V: View + Send + 'static>(
        self: &Arc<Self>,
        trial: &TrialId,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Listed<V>, Problem> {
        for _ in 0..TRIES {
            let Some(model) = self.active(V::MODEL).await? else {
                return Ok(Listed { position: 0, views: Vec::new(), next: None });
            };
            let list = self.parts.models.list(V::MODEL, model.generation, trial, prefix, after, limit);
            let docs = list.await.map_err(problems::store)?;
            // While a generation that was replaced is being removed, any of its documents may be missing.
            if !self.is_still(&model).await? {
                continue;
            }
            let next = docs.last().filter(|_| may_go_on(&docs, limit)).map(|doc| doc.id.clone());
            let views = self.open(docs.into_iter().map(Some).collect()).await?;
            let views = views.into_iter().flatten().collect();
            return Ok(Listed { position: model.position, views, next });
        }
        Err(unavailable("The read model is being replaced right now."))
    }

    /// Opens what of the documents there is and can be read.
    async fn open<V: View + Send + 'static>(
        self: &Arc<Self>,
        docs: Vec<Option<Doc>>,
    ) -> Result<Vec<Option<V>>, Problem> {
        self.aside(async move |query| {
            let mut views = Vec::with_capacity(docs.len());
            for doc in &docs {
                views.push(match doc {
                    Some(doc) => query.open_one(doc).await?,
                    None => None,
                });
            }
            Ok(views)
        })
        .await
    }

    async fn open_one<V: View>(&self, doc: &Doc) -> Result<Option<V>, Problem> {
        let Some(json) = docs::open(&self.parts.vault, V::MODEL, doc).await.map_err(problems::body)? else {
            return Ok(None);
        };
        let other_form =
            |_| damaged(&format!("a document of read model {} is of another form; rebuild it", V::MODEL));
        serde_json::from_slice(&json).map(Some).map_err(other_form)
    }

    async fn active(&self, model: &str) -> Result<Option<ModelRow>, Problem> {
        let generations = self.parts.models.generations(model).await.map_err(problems::store)?;
        Ok(generations.into_iter().find(|row| row.active))
    }

    /// Whether the generation that was read from is still the one in use, so that what was not found is not there.
    async fn is_still(&self, model: &ModelRow) -> Result<bool, Problem> {
        Ok(self.active(&model.model).await?.is_some_and(|active| active.generation == model.generation))
    }
}

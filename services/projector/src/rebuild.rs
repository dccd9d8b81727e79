//! Making read models anew, beside those in use.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;

use crate::error::ProjectorError;
use crate::model::Model;
use crate::projector::Projector;

/// A generation under way.
#[derive(Clone, Copy)]
struct Making {
    model: Model,
    generation: u32,
}

impl Projector {
    /// Makes a new generation of each of these models from the first event on, and lets readers use it once it has come
    /// as far as the one that they use now, which is kept up meanwhile. They notice nothing.
    ///
    /// All are folded in one passage through the record, each batch while the next is read. As long as somebody records,
    /// it rests after each batch for as long as that took.
    ///
    /// A crash in between leaves the unfinished generations unused; the next rebuild drops them and begins anew, for it
    /// may be other software that folds otherwise.
    ///
    /// # Errors
    /// [`ProjectorError`]; a [`StoreError::Overtaken`](trialseal_store::StoreError::Overtaken) in it means that another
    /// rebuild has begun meanwhile.
    pub async fn rebuild(&self, models: &[Model]) -> Result<(), ProjectorError> {
        let mut making = Vec::new();
        for model in models {
            making.push(self.begin(*model).await?);
        }
        let mut batch = Arc::new(self.read(0).await?);
        let mut recorded = 0;
        while !making.is_empty() {
            let began = Instant::now();
            // Dropped by a failure, it takes the tasks with it.
            let mut folding = JoinSet::new();
            for Making { model, generation } in making.iter().copied() {
                let (parts, batch) = (Arc::clone(&self.parts), Arc::clone(&batch));
                folding.spawn(async move { batch.fold_into(&parts, model, generation).await });
            }
            let next = self.read(batch.end()).await?;
            folding.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
            making = self.swap(making, batch.end()).await?;
            batch = Arc::new(next);
            let before = std::mem::replace(&mut recorded, self.parts.events.head().await?.position);
            if before > 0 && recorded > before {
                tokio::time::sleep(began.elapsed()).await;
            }
        }
        Ok(())
    }

    async fn begin(&self, model: Model) -> Result<Making, ProjectorError> {
        self.active(model).await?;
        self.parts.models.drop_unused(model.name()).await?;
        let generation = self.parts.models.new_generation(model.name()).await?;
        Ok(Making { model, generation })
    }

    /// Lets readers use the generations that have come far enough with `position`, and gives the others.
    async fn swap(&self, making: Vec<Making>, position: u64) -> Result<Vec<Making>, ProjectorError> {
        let mut left = Vec::new();
        for one in making {
            let far_enough = position >= self.active(one.model).await?.position
                && self.parts.models.activate(one.model.name(), one.generation).await?;
            if !far_enough {
                left.push(one);
            }
        }
        Ok(left)
    }
}

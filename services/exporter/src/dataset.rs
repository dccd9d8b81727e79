//! Writing one dataset, from the first event to the signed manifest. Everything here runs on a blocking thread; only
//! asking the store and the vault goes through the async runtime.

mod archive;
mod crate_description;
mod imported;
mod items;
mod record;
mod rights;
mod table;
mod tables;

use std::io::Write as _;
use std::sync::Arc;

use tokio::runtime::Handle;
use trialseal_record::ids::TrialId;
use trialseal_seal::canonical;
use trialseal_seal::dataset::{HEAD, POLICY, RECORD, RO_CRATE};
use trialseal_seal::proof::HeadProof;
use trialseal_store::proofs;
use trialseal_vault::DataKey;
use uuid::Uuid;

use self::archive::Archive;
use self::record::Reader;
use self::rights::Rights;
use self::tables::Tables;
use crate::ExporterParts;
use crate::error::ExportError;
use crate::file::Written;
use crate::recall::Standing;
use crate::status::Shown;

/// What to write.
pub(crate) struct Plan {
    pub(crate) export: Uuid,
    pub(crate) trial: TrialId,
    pub(crate) seal: u64,
    pub(crate) tables: bool,
    pub(crate) shown: Shown,
    /// The key of the file at rest.
    pub(crate) key: Arc<DataKey>,
    /// Whether to go on.
    pub(crate) standing: Standing,
}

/// What was written.
pub(crate) struct Made {
    pub(crate) file: Written,
    pub(crate) events: u64,
    pub(crate) withheld: u64,
}

/// Writes the dataset of a plan into its file.
pub(crate) fn make(parts: &ExporterParts, handle: &Handle, plan: &Plan) -> Result<Made, ExportError> {
    let proof = handle.block_on(prove(parts, plan))?;
    let reader = Reader { parts, handle, plan, head: &proof.head };
    let rights = Rights::read(&reader, plan.shown)?;
    let mut archive = Archive::create(&parts.folder, plan)?;
    let tables = plan.tables.then(|| Tables::new(&parts.folder, plan, proof.seal.time));
    let mut tables = tables.transpose()?;

    archive.begin(RECORD)?;
    let withheld = record::write(&reader, &rights, &mut archive, tables.as_mut())?;
    archive.file(HEAD, &canonical::to_vec(&proof.to_value()))?;
    archive.file(POLICY, parts.policy.as_bytes())?;
    if let Some(tables) = tables {
        tables.finish()?.write(&mut archive)?;
    }
    let description = crate_description::describe(&proof, plan.shown, &archive.names());
    archive.begin(RO_CRATE)?;
    archive.write_all(&canonical::to_vec(&description))?;
    let file =
        archive.finish(&parts.signers, |file| file.finish(&parts.folder, plan.export, parts.clock.now()))?;
    Ok(Made { file, events: proof.head.size, withheld })
}

/// Proves the trial's head under the plan's seal.
async fn prove(parts: &ExporterParts, plan: &Plan) -> Result<HeadProof, ExportError> {
    let seals = parts.seals.as_ref();
    let seal = proofs::seal(seals, plan.seal).await?.ok_or(ExportError::NotUnderSeal)?;
    let map = proofs::trial_map(seals, &seal).await?;
    proofs::head_proof(seals, &map, &plan.trial, &seal).await?.ok_or(ExportError::NotUnderSeal)
}

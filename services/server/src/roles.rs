//! The roles of one process, and what each is given.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use anyhow::{Context, Result};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use trialseal_eraser::{Eraser, EraserParts};
use trialseal_exporter::{Exporter, ExporterParts};
use trialseal_identity::{Identity, IdentityParts, OidcConfig, Provider};
use trialseal_ingest::{Ingest, IngestParts, Limits};
use trialseal_query::{Query, QueryParts};
use trialseal_record::{ParticipantId, TrialId};
use trialseal_runtime::client::Authorities;
use trialseal_runtime::clock::{Clock, SystemClock};
use trialseal_runtime::ids::{Ids, SystemIds};
use trialseal_runtime::settings::Settings;
use trialseal_runtime::shutdown::{Roles, Shutdown};
use trialseal_runtime::telemetry;
use trialseal_seal::time::Timestamp;
use trialseal_sealer::{
    Authorities as TimestampAuthorities, Folder, HttpAuthority, Sealer, SealerParts, SealerSettings,
    Timestamping, measure_delays,
};
use trialseal_store::access_log::AccessLog;
use trialseal_store::{Progress, Writer, WriterSettings};

use crate::bootstrap;
use crate::election::{self, Elected};
use crate::erasure::{KeptFiles, Projections};
use crate::http::{self, Door, Services};
use crate::ledger::{Found, Ledger};
use crate::lock::FolderLock;

/// How long a submitter who asked for it waits for the seal, or its witnesses, before being told how far it came.
const WAIT_SEALED: Duration = Duration::from_secs(30);

/// Waits to be elected, and runs all roles until the process is asked to end.
pub(crate) async fn serve(settings: Settings) -> Result<()> {
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    // There is nothing to stand by for where another process has the whole database.
    let folder = Ledger::is_embedded(&settings).then(|| FolderLock::take(&settings.dir)).transpose()?;
    let door = Door::open(&settings)?;
    let found = Ledger::find(&settings).await?;
    let won = election::win(&settings, &found.store, folder, &door, &shutdown).await?;
    let Some(mut elected) = won else { return Ok(()) };
    let found = Found { store: elected.store.clone(), ..found };
    let served = match Ledger::with_keys(&settings, found).await {
        Ok(ledger) => serve_elected(&settings, ledger, &mut elected, door, shutdown).await,
        Err(error) => Err(error),
    };
    elected.end(served).await
}

/// Runs all roles in a process that was elected.
async fn serve_elected(
    settings: &Settings,
    ledger: Ledger,
    elected: &mut Elected,
    door: Door,
    shutdown: Shutdown,
) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(SystemIds);
    let progress = Arc::new(Progress::new());
    let authorities = Authorities::with_file(settings.ca_file.as_deref())?;

    let writer = writer(&ledger, settings, &clock, &progress);
    let access_log = access_log(&ledger, &writer, &clock, &ids);
    let exporter = exporter(&ledger, settings, &clock, &ids, access_log.clone())?;
    let keys = ledger.verifier_keys()?;
    bootstrap::register(&ledger, &writer, clock.as_ref(), ids.as_ref(), &keys).await?;
    // Not before: what the sealer signs with must be the key that is registered.
    let sealer = sealer(&ledger, settings, &authorities, &clock, &ids, &progress).await?;

    let identity = Arc::new(identity(&ledger, settings, &authorities, &clock, &ids, writer.clone())?);
    let (erasures, approved) = mpsc::unbounded_channel();
    let ingest = Arc::new(ingest(&ledger, settings, &clock, &ids, &progress, erasures, writer.clone()));
    let files = KeptFiles { exporter: exporter.clone(), ingest: Arc::clone(&ingest) };
    ingest.resume_imports().await.context("cannot take up unfinished imports")?;
    exporter.resume_exports().await.context("cannot take up unfinished exports")?;
    let projector = Arc::new(ledger.projector(Arc::clone(&progress)));
    let models = Projections(Arc::clone(&projector));
    let eraser = eraser(&ledger, files, models, approved, &clock, &ids, writer);
    let query = query(&ledger, settings, &clock, &progress, &shutdown, access_log)?;

    elected.step_forward().await;
    let certificate = door.certificate.clone();
    let server = http::server(
        settings,
        door,
        Services {
            store: ledger.store.clone(),
            projector: Arc::clone(&projector),
            ingest: Data::from(ingest),
            query: Data::new(query),
            exporter: Data::new(exporter),
            identity: Arc::clone(&identity),
            clock,
            ids,
        },
    )?;
    tracing::info!(address = %settings.listen, origin = ledger.store.origin(), "serving");

    let mut roles = Roles::new(shutdown.clone());
    let (for_sealer, for_projector, for_metrics) = (shutdown.clone(), shutdown.clone(), shutdown.clone());
    let delays = measure_delays(progress, shutdown.clone());
    roles.spawn("sealer", async move { Ok(sealer.run(for_sealer).await?) });
    roles.spawn("projector", async move {
        projector.run(for_projector).await;
        Ok(())
    });
    roles.spawn("delays", async move {
        delays.await;
        Ok(())
    });
    let (for_identity, for_eraser) = (shutdown.clone(), shutdown.clone());
    roles.spawn("eraser", async move {
        eraser.run(for_eraser).await;
        Ok(())
    });
    roles.spawn("identity", async move {
        identity.run(for_identity).await;
        Ok(())
    });
    roles.spawn("metrics", telemetry::keep_metrics(for_metrics));
    if let Some(certificate) = certificate {
        let shutdown = shutdown.clone();
        roles.spawn("certificate", async move {
            certificate.run(shutdown).await;
            Ok(())
        });
    }
    roles.spawn("http", http::run(server, shutdown));
    Ok(roles.finish(settings.shutdown).await?)
}

/// What is said of an OpenID Connect provider, where anything is.
pub(crate) fn provider_config(settings: &Settings) -> Result<Option<OidcConfig>> {
    let read = |file: &PathBuf| {
        let config = fs::read_to_string(file).map_err(anyhow::Error::from);
        let config = config.and_then(|text| Ok(OidcConfig::read(&text)?));
        config.with_context(|| format!("the provider in {} cannot be used", file.display()))
    };
    settings.oidc_file.as_ref().map(read).transpose()
}

fn identity(
    ledger: &Ledger,
    settings: &Settings,
    authorities: &Authorities,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
    writer: Writer,
) -> Result<Identity> {
    let config = provider_config(settings)?;
    Ok(Identity::new(IdentityParts {
        tokens: ledger.store.clone(),
        accounts: ledger.store.clone(),
        events: ledger.store.clone(),
        writer,
        vault: Arc::clone(&ledger.vault),
        clock: Arc::clone(clock),
        ids: Arc::clone(ids),
        address: settings.public_address.clone(),
        provider: config.map(|config| Provider::new(config, authorities, Arc::clone(clock))),
        proxies: settings.proxies.clone(),
    }))
}

fn exporter(
    ledger: &Ledger,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
    access_log: AccessLog,
) -> Result<Exporter> {
    let exporter = Exporter::new(ExporterParts {
        events: ledger.store.clone(),
        seals: ledger.store.clone(),
        jobs: ledger.store.clone(),
        vault: Arc::clone(&ledger.vault),
        access_log,
        clock: Arc::clone(clock),
        ids: Arc::clone(ids),
        signers: ledger.export_signers()?.into_iter().rev().collect(),
        policy: ledger.policy.text().to_owned(),
        folder: ledger.dir.join("exports"),
        jobs_at_once: settings.export_jobs,
    });
    Ok(exporter.with_file_limits(settings.export_files))
}

fn access_log(ledger: &Ledger, writer: &Writer, clock: &Arc<dyn Clock>, ids: &Arc<dyn Ids>) -> AccessLog {
    let (time, random) = (Arc::clone(clock), Arc::clone(ids));
    AccessLog::new(
        writer.clone(),
        Arc::clone(&ledger.vault),
        Arc::new(move || Timestamp::from_micros(time.now())),
        Arc::new(move |bytes| random.fill(bytes)),
    )
}

fn query(
    ledger: &Ledger,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    progress: &Arc<Progress>,
    shutdown: &Shutdown,
    access_log: AccessLog,
) -> Result<Query> {
    let ids = settings.public_trials.iter().map(|id| id.parse());
    let parts = QueryParts {
        events: ledger.store.clone(),
        streams: ledger.store.clone(),
        seals: ledger.store.clone(),
        models: ledger.store.clone(),
        vault: Arc::clone(&ledger.vault),
        access_log,
        clock: Arc::clone(clock),
        progress: Arc::clone(progress),
        shutdown: shutdown.clone(),
        policy: ledger.policy.text().to_owned(),
        trust: ledger.trust()?,
        log: ledger.log_folder(),
        heartbeat: settings.heartbeat,
        public_trials: ids.collect::<Result<_, _>>().context("a public trial has no valid id")?,
    };
    Ok(Query::new(parts))
}

async fn sealer(
    ledger: &Ledger,
    settings: &Settings,
    authorities: &Authorities,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
    progress: &Arc<Progress>,
) -> Result<Sealer> {
    let parts = SealerParts {
        store: ledger.store.clone(),
        place: Arc::new(Folder::new(ledger.log_folder())),
        signers: ledger.log_signers()?,
        policy: ledger.policy.policy().clone(),
        witnesses: ledger.policy.witnesses(authorities, settings.witness_patience)?,
        timestamping: timestamping(settings, authorities, ids)?,
        clock: Arc::clone(clock),
        progress: Arc::clone(progress),
        settings: SealerSettings { interval: settings.seal_interval, heartbeat: settings.heartbeat },
    };
    Ok(Sealer::open(parts).await?)
}

/// Who puts times on published notes, where anybody is named.
fn timestamping(
    settings: &Settings,
    authorities: &Authorities,
    ids: &Arc<dyn Ids>,
) -> Result<Option<Timestamping>> {
    let Some(timestamps) = &settings.timestamps else { return Ok(None) };
    let trusted = fs::read(&timestamps.ca_file).map_err(anyhow::Error::from);
    let trusted = trusted.and_then(|pem| Ok(TimestampAuthorities::from_pem(&pem)?)).with_context(|| {
        format!("the timestamp authority's certificates in {} cannot be used", timestamps.ca_file.display())
    })?;
    let authority = Arc::new(HttpAuthority::new(&timestamps.url, authorities));
    Ok(Some(Timestamping { authority, trusted, interval: timestamps.interval, ids: Arc::clone(ids) }))
}

fn writer(ledger: &Ledger, settings: &Settings, clock: &Arc<dyn Clock>, progress: &Arc<Progress>) -> Writer {
    let limits = settings.writer;
    let time = Arc::clone(clock);
    Writer::spawn(
        ledger.store.clone(),
        ledger.store.clone(),
        Arc::new(move || Timestamp::from_micros(time.now())),
        Arc::clone(progress),
        WriterSettings {
            batch_events: limits.batch_events,
            queue_events: limits.queue_events,
            queue_bytes: limits.queue_bytes,
            unsealed_events: limits.unsealed_events,
            patience: limits.patience,
            ..WriterSettings::default()
        },
    )
}

fn ingest(
    ledger: &Ledger,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
    progress: &Arc<Progress>,
    erasures: UnboundedSender<(TrialId, ParticipantId)>,
    writer: Writer,
) -> Ingest {
    let parts = IngestParts {
        writer,
        events: ledger.store.clone(),
        appends: ledger.store.clone(),
        jobs: ledger.store.clone(),
        vault: Arc::clone(&ledger.vault),
        clock: Arc::clone(clock),
        ids: Arc::clone(ids),
        progress: Arc::clone(progress),
        erasures,
        spool: ledger.dir.join("spool"),
        limits: Limits {
            body_bytes: settings.body_bytes,
            imports: settings.imports,
            wait_sealed: WAIT_SEALED,
            witnesses: ledger.policy.policy().asks_for_witnesses(),
        },
    };
    Ingest::new(parts)
}

fn eraser(
    ledger: &Ledger,
    files: KeptFiles,
    models: Projections,
    approved: UnboundedReceiver<(TrialId, ParticipantId)>,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
    writer: Writer,
) -> Eraser {
    Eraser::new(EraserParts {
        events: ledger.store.clone(),
        bodies: ledger.store.clone(),
        models: Arc::new(models),
        streams: ledger.store.clone(),
        writer,
        vault: Arc::clone(&ledger.vault),
        copies: Arc::new(files),
        approved,
        clock: Arc::clone(clock),
        ids: Arc::clone(ids),
    })
}

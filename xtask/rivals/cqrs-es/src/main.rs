//! cqrs-es with its PostgreSQL repository, driven with the plan that `cargo xtask bench append` hands over. Prints one line
//! of JSON.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use postgres_es::{PostgresCqrs, postgres_aggregate_cqrs};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

/// The tables that postgres-es asks for in its file `db/init.sql`.
const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS events (
        aggregate_type text NOT NULL,
        aggregate_id text NOT NULL,
        sequence bigint CHECK (sequence >= 0) NOT NULL,
        event_type text NOT NULL,
        event_version text NOT NULL,
        payload json NOT NULL,
        metadata json NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence)
    )",
    "CREATE TABLE IF NOT EXISTS snapshots (
        aggregate_type text NOT NULL,
        aggregate_id text NOT NULL,
        last_sequence bigint CHECK (last_sequence >= 0) NOT NULL,
        current_snapshot bigint CHECK (current_snapshot >= 0) NOT NULL,
        payload json NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, last_sequence)
    )",
];

/// What to do; `xtask/src/bench/append/rivals.rs` writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Plan {
    database: String,
    warm_up_seconds: u64,
    seconds: u64,
    events_a_stream: u64,
    record: Value,
    loads: Vec<Load>,
}

#[derive(Clone, Deserialize)]
struct Load {
    name: String,
    clients: u32,
    events: u64,
}

/// Somebody whose data are recorded. As small as it can be, because it is stored with every command.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Participant {
    records: u64,
}

/// Records these.
struct Record(Vec<Value>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Happened {
    Recorded(Value),
}

impl DomainEvent for Happened {
    fn event_type(&self) -> String {
        "Recorded".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Participant {
    type Command = Record;
    type Error = Infallible;
    type Event = Happened;
    type Services = ();

    const TYPE: &'static str = "participant";

    async fn handle(&mut self, command: Record, (): &(), sink: &EventSink<Self>) -> Result<(), Infallible> {
        for record in command.0 {
            sink.write(Happened::Recorded(record), self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Happened) {
        let Happened::Recorded(_) = event;
        self.records += 1;
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let path = std::env::args_os().nth(1).context("the first argument is the path of a plan")?;
    let plan: Plan = serde_json::from_slice(&std::fs::read(path)?)?;
    let plan = Arc::new(plan);
    let mut loads = Vec::new();
    for load in &plan.loads {
        loads.push(measure(&plan, load).await?);
    }
    println!("{}", json!({"loads": loads}));
    Ok(())
}

/// Measures one load.
async fn measure(plan: &Arc<Plan>, load: &Load) -> Result<Value> {
    // A connection for each client, open from the start, and not asked whether it is alive each time it is used.
    let options = PgPoolOptions::new().min_connections(load.clients).max_connections(load.clients);
    let pool = options.test_before_acquire(false).connect(&plan.database).await?;
    for table in TABLES {
        sqlx::query(table).execute(&pool).await?;
    }
    // The aggregate is kept beside its events and not made anew from them with each command: the fastest of its three ways.
    let cqrs = Arc::new(postgres_aggregate_cqrs::<Participant>(pool.clone(), Vec::new(), ()));
    let begin = Instant::now() + Duration::from_secs(plan.warm_up_seconds);
    let clients: Vec<_> = (0..load.clients)
        .map(|_| tokio::spawn(submit(Arc::clone(&cqrs), Arc::clone(plan), load.events, begin)))
        .collect();
    let mut latencies = Vec::new();
    let mut stored = 0;
    for client in clients {
        let (of_client, stored_by_client) = client.await??;
        latencies.extend(of_client);
        stored += stored_by_client;
    }
    pool.close().await;
    ensure!(!latencies.is_empty(), "nothing was answered within {} s", plan.seconds);
    latencies.sort_unstable();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    let events = f64::from(u32::try_from(latencies.len())?) * f64::from(u32::try_from(load.events)?);
    Ok(json!({
        "name": load.name,
        "eventsASecond": events / Duration::from_secs(plan.seconds).as_secs_f64(),
        "p50Ms": at(50),
        "p99Ms": at(99),
        "stored": stored,
    }))
}

/// One client: executes one command after the other. Answers how long those took that were answered within the time, and
/// how many events it stored in all.
async fn submit(
    cqrs: Arc<PostgresCqrs<Participant>>,
    plan: Arc<Plan>,
    events: u64,
    begin: Instant,
) -> Result<(Vec<Duration>, u64)> {
    let end = begin + Duration::from_secs(plan.seconds);
    let mut participant = String::new();
    let mut latencies = Vec::new();
    for first in (0..).step_by(usize::try_from(events)?) {
        if first % plan.events_a_stream == 0 {
            participant = Uuid::new_v4().to_string();
        }
        let records = (first..first + events).map(|event| {
            let mut record = plan.record.clone();
            record["repeat"] = json!(event + 1);
            record
        });
        let command = Record(records.collect());
        let sent = Instant::now();
        cqrs.execute(&participant, command).await?;
        let answered = Instant::now();
        if answered > end {
            return Ok((latencies, first + events));
        }
        if sent >= begin {
            latencies.push(answered - sent);
        }
    }
    Ok((latencies, 0))
}

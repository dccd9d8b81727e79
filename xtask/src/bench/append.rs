//! How fast commands are recorded over the whole HTTP path (token, JSON, decision, commitment, encryption, hashing, commit) on
//! PostgreSQL that waits for its disk, and what part that is of raw `COPY` of the very same rows into an equally indexed
//! table, in one run. Client, service and database share the machine. Other event stores are measured beside it, and how far
//! it is to a published seal without HTTP.

mod rivals;
mod sealed;
mod wire;

use std::fmt::Write as _;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};

use self::rivals::Comparison;
use self::wire::Wire;
use super::engine::{Build, Engine, run_again_with_postgres};
use crate::service::{Client, Role, Service, Tokens};

/// The trial of this measurement.
const TRIAL: &str = "APPEND";

/// What goes before the first second that counts: connections, plans, caches.
const WARM_UP: Duration = Duration::from_secs(2);

/// Events after which a client goes on with somebody new: about what one person comes to in a trial.
const EVENTS_A_PARTICIPANT: u64 = 200;

/// What the measurement can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds that each load is measured
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// A PostgreSQL server in which databases can be made; without one, one that waits for its disk is started for the while
    #[arg(long, env = "TRIALSEAL_TEST_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
    /// Leave out the other event stores, which have to be installed first
    #[arg(long)]
    without_rivals: bool,
}

/// A load: so many clients at once, each with so many events a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    name: &'static str,
    clients: usize,
    events: u64,
    /// A client waits after its answers from nothing to nine times this, in turn, so as not to keep time with the seals.
    pause: Duration,
    /// Goes behind the address.
    query: &'static str,
}

impl Load {
    /// Clients that send as soon as they are answered.
    pub(super) const fn full(name: &'static str, clients: usize, events: u64) -> Self {
        Self { name, clients, events, pause: Duration::ZERO, query: "" }
    }
}

const LOADS: [Load; 3] =
    [Load::full("http_64x10", 64, 10), Load::full("http_64x1", 64, 1), Load::full("http_1x1", 1, 1)];

/// One event now and then: how long until it is durable.
const DURABLE: Load = Load { pause: Duration::from_millis(10), ..Load::full("durable_light", 1, 1) };
/// One event now and then from each of some clients: how long until a published seal covers it.
const PUBLISHED: Load =
    Load { pause: Duration::from_millis(100), query: "?wait=sealed", ..Load::full("published", 16, 1) };

/// What a load came to.
pub(super) struct Measured {
    name: &'static str,
    pub(super) events_a_second: f64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let Some(url) = options.postgres.as_deref() else { return run_again_with_postgres(&["--durable"]) };
    println!(
        "Records data of 20 fields and some 500 bytes over HTTP on PostgreSQL, {} s a load after {} s of warming up, and\n\
         copies the rows that came of it into a table with the same indexes.",
        options.seconds,
        WARM_UP.as_secs()
    );
    ensure!(
        query(url, "SHOW fsync")? == "on",
        "this PostgreSQL does not wait for its disk: nothing would be measured"
    );
    let build = Build::release()?;
    let service = build.start("append", Engine::Postgres, Some(url))?;
    let bench = Bench::open(&service)?;
    let mut measured = Vec::new();
    for load in LOADS {
        measured.push(bench.measure(load, Duration::from_secs(options.seconds))?);
    }
    let [durable, published] = [
        bench.measure(DURABLE, Duration::from_secs(options.seconds))?,
        bench.measure(PUBLISHED, Duration::from_secs(options.seconds))?,
    ];
    let database = service.launch().database_url.clone().context("the service has no database")?;
    service.stop()?;
    let (rows, copied) = copy(&database, &build.folder("append-copy")?.join("rows"))?;
    let sealed = sealed::measure(url, &build, options.seconds)?;
    let comparison = if options.without_rivals {
        println!("Without the other event stores, as asked: their figures are left out.");
        Comparison::default()
    } else {
        rivals::compare(url, &build, options.seconds, &record(1))?
    };
    let all = || measured.iter().chain(&comparison.measured);
    print_table(all(), &sealed, rows, copied);
    print_light(&durable, &published);
    let mut figures = json!({
        "bench": "append",
        "copy_indexed": copied.round(),
        "durable_light_p50_ms": milliseconds(durable.p50),
        "published_p50_ms": milliseconds(published.p50),
        "published_p99_ms": milliseconds(published.p99),
    });
    for load in all() {
        figures[load.name] = json!(load.events_a_second.round());
        figures[format!("{}_of_copy", load.name)] =
            json!((load.events_a_second / copied * 1000.0).round() / 1000.0);
        figures[format!("{}_p50_ms", load.name)] = json!(milliseconds(load.p50));
        figures[format!("{}_p99_ms", load.name)] = json!(milliseconds(load.p99));
    }
    sealed::add(&mut figures, &sealed);
    rivals::add_fastest(&mut figures, &comparison);
    for missing in &comparison.missing {
        println!("{missing}");
    }
    if !comparison.missing.is_empty() {
        println!("(--without-rivals measures without the other event stores.)");
    }
    println!("{figures}");
    Ok(if comparison.missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_table<'a>(
    measured: impl Iterator<Item = &'a Measured>,
    sealed: &[Measured],
    rows: u64,
    copied: f64,
) {
    println!("{:<24} {:>10} {:>8} {:>9} {:>9}", "load", "events/s", "of COPY", "p50 ms", "p99 ms");
    println!("{:<24} {copied:>10.0} {:>8} {:>9} {:>9}", "copy_indexed", "1.00", "", "");
    // The events of the last rows are others than those that were copied: there is no part to tell.
    let measured = measured.map(|load| (load, format!("{:.2}", load.events_a_second / copied)));
    for (load, part) in measured.chain(sealed.iter().map(|load| (load, String::new()))) {
        println!(
            "{:<24} {:>10.0} {part:>8} {:>9.1} {:>9.1}",
            load.name,
            load.events_a_second,
            milliseconds(load.p50),
            milliseconds(load.p99)
        );
    }
    println!("({rows} rows copied; of sealed_… the ms are from adding an event to its published seal)");
}

fn print_light(durable: &Measured, published: &Measured) {
    println!(
        "At light load an event is durable after {} ms (p50) and under a published seal after {} ms (p50), {} ms (p99).",
        milliseconds(durable.p50),
        milliseconds(published.p50),
        milliseconds(published.p99)
    );
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// A trial with an open site, where participants can be enrolled.
pub(super) struct Bench {
    address: String,
    tokens: Tokens,
    /// The site's id.
    site: String,
    enrolled: AtomicU64,
}

impl Bench {
    pub(super) fn open(service: &Service) -> Result<Self> {
        let tokens = Tokens::create(service.launch())?;
        let address = service.address();
        let sponsor = tokens.client(Role::Sponsor, &address);
        let hash = "00".repeat(32);
        let send = |client: &Client, route: &str, body: &Value| {
            client.post(&format!("/v1/trials/{TRIAL}/{route}"), &route.replace('/', "."), body)?.json()
        };
        let registration = json!({"id": TRIAL, "title": "Measurement", "sponsor": "Demo Sponsor"});
        sponsor.post("/v1/trials", "registration", &registration)?;
        let outcome = json!({"id": "o", "measure": "None", "timeFrame": "None"});
        let protocol = json!({
            "version": "1.0", "documentSha256": hash, "primaryOutcomes": [outcome], "sampleSize": 1,
            "changeSummary": "First version", "reconsent": "none",
        });
        send(&sponsor, "protocol-versions", &protocol)?;
        let form =
            json!({"version": "1.0", "language": "en", "documentSha256": hash, "protocolVersion": "1.0"});
        send(&sponsor, "consent-versions", &form)?;
        let approval = json!({
            "irb": "Demo Ethics Committee", "decision": "approved", "decidedOn": "2025-01-10",
            "protocolVersion": "1.0", "consentVersions": ["1.0"],
        });
        send(&tokens.client(Role::Irb, &address), "irb-decisions", &approval)?;
        let site =
            json!({"number": "01", "name": "Clinic", "investigator": "Dr A", "activatedOn": "2025-02-01"});
        let opened = send(&sponsor, "sites", &site)?;
        let site = opened["site"].as_str().context("the answer names no site")?.to_owned();
        Ok(Self { address, tokens, site, enrolled: AtomicU64::new(0) })
    }

    /// Enrols somebody; answers the path of their data.
    fn enrol(&self, client: &Client) -> Result<String> {
        let number = format!("01-{:05}", self.enrolled.fetch_add(1, Ordering::Relaxed));
        let screening = json!({"site": self.site, "subjectNumber": number, "screenedOn": "2025-02-02"});
        let screened =
            client.post(&format!("/v1/trials/{TRIAL}/participants"), &number, &screening)?.json()?;
        let id = screened["participant"].as_str().context("the answer names no participant")?;
        let consent = json!({
            "consentVersion": "1.0", "language": "en", "signedBy": "participant", "signedOn": "2025-02-03",
            "discussedBy": "Nurse B", "discussedOn": "2025-02-03", "sharing": {"research": true},
        });
        let path = format!("/v1/trials/{TRIAL}/participants/{id}");
        client.post(&format!("{path}/consents"), &format!("{number}.consent"), &consent)?;
        Ok(format!("{path}/data"))
    }

    /// Measures for so long, after the warming up.
    pub(super) fn measure(&self, load: Load, length: Duration) -> Result<Measured> {
        let begin = Instant::now() + WARM_UP;
        let end = begin + length;
        self.measure_until(load, begin, &|now| now > end)
    }

    /// Measures from `begin` until it is over at the time that `is_over` is asked about.
    pub(super) fn measure_until(
        &self,
        load: Load,
        begin: Instant,
        is_over: &(dyn Fn(Instant) -> bool + Sync),
    ) -> Result<Measured> {
        let latencies = thread::scope(|scope| {
            let clients: Vec<_> =
                (0..load.clients).map(|_| scope.spawn(move || self.submit(load, begin, is_over))).collect();
            let joined = clients.into_iter().map(|client| match client.join() {
                Ok(latencies) => latencies,
                Err(_) => bail!("a client panicked"),
            });
            joined.collect::<Result<Vec<Vec<Duration>>>>()
        })?;
        let length = begin.elapsed();
        let mut latencies: Vec<Duration> = latencies.into_iter().flatten().collect();
        ensure!(!latencies.is_empty(), "nothing was answered within {length:?}");
        latencies.sort_unstable();
        let events = latencies.len() as u64 * load.events;
        let events_a_second = u32::try_from(events).map_or(f64::NAN, f64::from) / length.as_secs_f64();
        let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
        eprintln!("{}: {events_a_second:.0} events/s", load.name);
        Ok(Measured { name: load.name, events_a_second, p50: at(50), p99: at(99) })
    }

    /// Sends one request after the other; answers how long those took that were answered from `begin` until it was over.
    fn submit(
        &self,
        load: Load,
        begin: Instant,
        is_over: &(dyn Fn(Instant) -> bool + Sync),
    ) -> Result<Vec<Duration>> {
        let client = self.tokens.client(Role::Investigator, &self.address);
        let mut wire = Wire::open(&self.address, self.tokens.token(Role::Investigator))?;
        let template = Template::new();
        let (mut path, mut body) = (String::new(), String::new());
        let mut latencies = Vec::new();
        let mut pauses = [0, 7, 4, 1, 8, 5, 2, 9, 6, 3].into_iter().cycle();
        for request in 0_u64.. {
            if (request * load.events).is_multiple_of(EVENTS_A_PARTICIPANT) {
                path = self.enrol(&client)?;
            }
            template.body(request * load.events + 1..=(request + 1) * load.events, &mut body);
            let sent = Instant::now();
            wire.post(&format!("{path}{}", load.query), &format!("{path}.{request}"), &body)?;
            let answered = Instant::now();
            if is_over(answered) {
                break;
            }
            if sent >= begin {
                latencies.push(answered - sent);
            }
            thread::sleep(load.pause * pauses.next().unwrap_or(0));
        }
        Ok(latencies)
    }
}

/// A record whose event has 20 fields, around the number that tells it from others.
struct Template {
    before: String,
    after: String,
}

impl Template {
    fn new() -> Self {
        let record = record(u64::MAX);
        let (before, after) = record.split_once(&u64::MAX.to_string()).unwrap_or_default();
        Self { before: before.to_owned(), after: after.to_owned() }
    }

    /// Writes the body of a request with these records.
    fn body(&self, records: RangeInclusive<u64>, body: &mut String) {
        body.clear();
        body.push_str("{\"records\":[");
        for record in records {
            if !body.ends_with('[') {
                body.push(',');
            }
            // Writing to a String cannot fail.
            let _ = write!(body, "{}{record}{}", self.before, self.after);
        }
        body.push_str("]}");
    }
}

/// A record whose event has 20 fields, some 500 bytes of JSON.
fn record(repeat: u64) -> String {
    let item = |oid: &str, value: &str, unit: &str| json!({"itemOid": oid, "value": value, "unit": unit});
    let record = json!({
        "visit": "WEEK 12 OF TREATMENT", "form": "F.VITAL_SIGNS", "itemGroup": "IG.VITAL_SIGNS.SUPINE", "repeat": repeat,
        "collectedOn": "2025-03-03T09:30",
        "items": [
            item("IT.SYSTOLIC_BLOOD_PRESSURE", "128.0", "mmHg"),
            item("IT.DIASTOLIC_BLOOD_PRESSURE", "81.5", "mmHg"),
            item("IT.PULSE_RATE_AT_REST", "66.0", "beats/min"),
            item("IT.BODY_TEMPERATURE_ORAL", "36.7", "C"),
            {"itemOid": "IT.INVESTIGATOR_COMMENT", "value": "Measured after five minutes of rest, left arm, cuff of medium size"},
        ],
    });
    record.to_string()
}

/// Copies all events into a table like theirs, by PostgreSQL's own client: how many there are, and how many a second.
fn copy(database: &str, rows: &Path) -> Result<(u64, f64)> {
    let path = rows.display();
    query(database, &format!("\\copy (SELECT * FROM event ORDER BY position) TO '{path}' (FORMAT binary)"))?;
    query(database, "CREATE TABLE copied (LIKE event INCLUDING ALL)")?;
    query(database, "CHECKPOINT")?;
    let started = Instant::now();
    query(database, &format!("\\copy copied FROM '{path}' (FORMAT binary)"))?;
    let seconds = started.elapsed().as_secs_f64();
    fs::remove_file(rows)?;
    let rows: u64 = query(database, "SELECT count(*) FROM copied")?.parse()?;
    Ok((rows, u32::try_from(rows).map_or(f64::NAN, f64::from) / seconds))
}

/// Runs one statement or one command of `psql`, and gives what it prints.
fn query(database: &str, what: &str) -> Result<String> {
    let arguments = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", what];
    let output = Command::new("psql").arg(database).args(arguments).output().context("psql is missing")?;
    ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_holds_the_records_it_says() {
        let mut body = String::from("something else");
        Template::new().body(4..=5, &mut body);
        let body: Value = serde_json::from_str(&body).unwrap();
        let expected: Vec<Value> = [4, 5].map(|n| serde_json::from_str(&record(n)).unwrap()).into();
        assert_eq!(body["records"], Value::from(expected));
    }

    #[test]
    fn a_record_is_of_the_size_it_says() {
        let record: Value = serde_json::from_str(&record(12_345)).unwrap();
        let data = json!({"record": record}).to_string();
        assert!((480..=560).contains(&data.len()), "{}", data.len());
        let items = record["items"].as_array().unwrap();
        let of_items: usize = items.iter().map(|item| item.as_object().unwrap().len()).sum();
        // The array counts as a field of its own, by its length.
        assert_eq!(record.as_object().unwrap().len() + of_items, 20);
    }
}

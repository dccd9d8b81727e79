//! One flipped byte, anywhere, and what it says is found and named.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;

use trialseal_tests::{
    Database, Engine, Rng, Role, Service, Trial, Verifier, all_files, bodies, events_of, export, flip,
    laboratory, on_both_engines, seed, try_export, unpack, zip_of,
};

on_both_engines!(
    in_every_column_of_the_record,
    a_damaged_event_is_not_served,
    in_every_published_file,
    in_every_file_of_a_dataset,
);

/// The trial of these tests.
const TRIAL: &str = "TAMPER-1";

/// A service with a small trial, sealed. Its trees have nodes that are stored where `rows` are 256 or more.
fn service_with_a_trial(engine: Engine, rows: u64) -> Service {
    let service = Service::start(engine);
    let trial = Trial::open(&service, TRIAL);
    service.wait_until_sealed();
    let participant = trial.enrol("101-001", true);
    trial.about(&participant, "data", &bodies::data("Baseline", "81.40"));
    if rows > 0 {
        let file = laboratory(&["101-001".to_owned()], rows, &mut Rng::new(1));
        assert_eq!(trial.import(&service, file.as_bytes())["state"], "done");
    }
    service.wait_until_sealed();
    service
}

/// What a column holds.
#[derive(Clone, Copy)]
enum Holds {
    Bytes,
    Number,
    Text,
    /// A UUID; a type of its own in PostgreSQL.
    Id,
}

/// A stored value that is damaged: where it stands, and what has to be said about it.
struct Damage {
    table: &'static str,
    column: &'static str,
    holds: Holds,
    row: String,
    names: String,
}

impl Damage {
    /// The statement that flips one bit of the value, and the one that sets it right again.
    fn statements(&self, database: &Database, rng: &mut Rng) -> (String, String) {
        let (column, row) = (self.column, &self.row);
        let shown = match (self.holds, database.engine()) {
            (Holds::Bytes, Engine::Postgres) => format!("encode({column}, 'hex')"),
            (Holds::Bytes | Holds::Id, Engine::Sqlite) => format!("lower(hex({column}))"),
            _ => format!("CAST({column} AS TEXT)"),
        };
        let values = database.texts(&format!("SELECT {shown} FROM {} WHERE {row}", self.table));
        let [value] = &values[..] else { panic!("{} WHERE {row} is {} rows", self.table, values.len()) };
        let set = |value: &str, to: String| {
            let from = self.literal(value, database.engine());
            format!("UPDATE {} SET {column} = {to} WHERE {column} = {from} AND {}", self.table, self.others())
        };
        let flipped = self.flipped(value, rng);
        let damage = set(value, self.literal(&flipped, database.engine()));
        let repair = set(&flipped, self.literal(value, database.engine()));
        (damage, repair)
    }

    /// The row by its other columns: a damaged column does not find it again.
    fn others(&self) -> String {
        let parts: Vec<&str> = self.row.split(" AND ").collect();
        let kept = parts.iter().filter(|part| part.split(' ').next() != Some(self.column));
        let kept: Vec<&str> = kept.copied().collect();
        if kept.is_empty() { "TRUE".to_owned() } else { kept.join(" AND ") }
    }

    fn flipped(&self, value: &str, rng: &mut Rng) -> String {
        match self.holds {
            // A bit that no neighbour has, so that no unique index stands in the way.
            Holds::Number => (value.parse::<i64>().unwrap() ^ (1 << 13)).to_string(),
            Holds::Text | Holds::Id => {
                let last = value.len() - 1;
                let other = if value.ends_with('1') { "2" } else { "1" };
                format!("{}{other}", &value[..last])
            }
            Holds::Bytes => {
                let at = usize::try_from(rng.between(0, value.len() as u64 / 2 - 1)).unwrap() * 2 + 1;
                let digit = u8::from_str_radix(&value[at..=at], 16).unwrap() ^ 1;
                format!("{}{digit:x}{}", &value[..at], &value[at + 1..])
            }
        }
    }

    fn literal(&self, value: &str, engine: Engine) -> String {
        match (self.holds, engine) {
            (Holds::Bytes | Holds::Id, Engine::Sqlite) => format!("x'{value}'"),
            (Holds::Bytes, Engine::Postgres) => format!("'\\x{value}'::bytea"),
            (Holds::Number, _) => value.to_owned(),
            (Holds::Text | Holds::Id, _) => format!("'{value}'"),
        }
    }
}

/// Every column of an event, every column of what proves it, and the size of its trial, which `check` reads.
fn damages(engine: Engine, seal: u64, position: u64) -> Vec<Damage> {
    use Holds::{Bytes, Id, Number, Text};
    let damage = |table, column, holds, row: &str, names: &str| Damage {
        table,
        column,
        holds,
        row: row.to_owned(),
        names: names.to_owned(),
    };
    // Event 7 of the trial: the enrolment.
    let event = format!("trial = '{TRIAL}' AND trialseq = 7");
    let seals = format!("number = {seal}");
    let head = format!("trial = '{TRIAL}' AND seal = {seal}");
    let node = format!("tree = '{TRIAL}' AND level = 8 AND place = 0");
    let size = format!("size = {}", seal + 1);
    let trial = format!("trial = '{TRIAL}'");
    let (at, seal) = (format!("ledger position {position}"), format!("seal {seal}"));
    let mut damages = vec![
        damage("event", "ledger", Number, &event, &at),
        damage("event", "position", Number, &event, &at),
        damage("event", "trial", Text, &event, TRIAL),
        damage("event", "trialseq", Number, &event, TRIAL),
        damage("event", "stream", Text, &event, "event 7"),
        damage("event", "streamseq", Number, &event, "event 7"),
        damage("event", "leaf", Bytes, &event, "event 7"),
        damage("event", "header", Bytes, &event, "event 7"),
        damage("event", "key", Id, &event, "event 7"),
        damage("event", "body", Bytes, &event, "event 7"),
        damage("seal", "number", Number, &seals, &seal),
        damage("seal", "entry", Bytes, &seals, &seal),
        damage("seal", "leaf", Bytes, &seals, &seal),
        damage("seal", "sealed", Number, &seals, &seal),
        damage("seal", "time", Number, &seals, &seal),
        damage("sealed_head", "trial", Text, &head, TRIAL),
        damage("sealed_head", "seal", Number, &head, TRIAL),
        damage("sealed_head", "size", Number, &head, TRIAL),
        damage("sealed_head", "root", Bytes, &head, TRIAL),
        damage("tree_node", "tree", Text, &node, TRIAL),
        damage("tree_node", "level", Number, &node, TRIAL),
        damage("tree_node", "place", Number, &node, TRIAL),
        damage("tree_node", "hash", Bytes, &node, TRIAL),
        damage("checkpoint", "size", Number, &size, "checkpoint"),
        damage("checkpoint", "note", Bytes, &size, "checkpoint"),
        damage("note", "size", Number, &size, "note"),
        damage("note", "note", Bytes, &size, "note"),
        damage("trial", "trial", Text, &trial, TRIAL),
        damage("trial", "size", Number, &trial, TRIAL),
    ];
    if engine == Engine::Sqlite {
        // By which this engine reads the ledger in its order; the other one has no such column.
        damages.push(damage("event", "row", Number, &event, &at));
    }
    damages
}

/// Whether a finding of `check` names something: as a whole, for `seal 1` is not `seal 12`.
fn names(words: &str, what: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    let in_line = |line: &str| line.match_indices(what).any(|(at, _)| ends(&line[at + what.len()..]));
    words.lines().filter(|line| line.starts_with("damaged: ")).any(in_line)
}

/// Switches off what keeps the record, as somebody who owns the database can.
fn disarm(database: &Database) {
    match database.engine() {
        Engine::Sqlite => {
            for trigger in database.texts("SELECT name FROM sqlite_master WHERE type = 'trigger'") {
                database.execute(&format!("DROP TRIGGER {trigger}")).unwrap();
            }
        }
        Engine::Postgres => {
            for table in ["event", "seal", "sealed_head", "tree_node", "checkpoint", "note"] {
                database.execute(&format!("ALTER TABLE {table} DISABLE TRIGGER append_only")).unwrap();
            }
        }
    }
}

fn in_every_column_of_the_record(engine: Engine) {
    let mut service = service_with_a_trial(engine, 300);
    service.stop();
    let database = service.database();
    disarm(database);
    let check = || {
        let output = service.command(&["check"]);
        let words = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), words)
    };
    let (code, words) = check();
    assert_eq!(code, Some(0), "{words}");

    // The first seal after the trial's opening covers event 7, and is neither the first nor the last.
    let covering =
        format!("SELECT CAST(min(seal) AS TEXT) FROM sealed_head WHERE trial = '{TRIAL}' AND size > 7");
    let seal = database.texts(&covering)[0].parse().unwrap();
    let place = format!("SELECT CAST(position AS TEXT) FROM event WHERE trial = '{TRIAL}' AND trialseq = 7");
    let position = database.texts(&place)[0].parse().unwrap();
    let mut rng = Rng::new(seed("columns"));
    let mut missed = Vec::new();
    for damage in damages(engine, seal, position) {
        let (break_it, repair_it) = damage.statements(database, &mut rng);
        database.execute(&break_it).unwrap_or_else(|error| panic!("{break_it}: {error}"));
        let (code, words) = check();
        if code != Some(1) || !names(&words, &damage.names) {
            missed.push(format!("{}.{}: exit {code:?}, {words}", damage.table, damage.column));
        }
        database.execute(&repair_it).unwrap();
    }
    assert!(missed.is_empty(), "not found, or not named:\n{}", missed.join("\n"));
    let (code, words) = check();
    assert_eq!(code, Some(0), "the damage was not repaired, so later ones prove nothing: {words}");
}

fn a_damaged_event_is_not_served(engine: Engine) {
    let mut service = service_with_a_trial(engine, 0);
    // What is asked below is recorded as reading, and the sealer, which would seal it a moment later, ends the service.
    service.set("TRIALSEAL_SEAL_INTERVAL_MS", "60000");
    let monitor = service.client(Role::Monitor);
    let sound = events_of(&monitor, TRIAL);
    let mut rng = Rng::new(seed("served"));
    let columns = ["leaf", "header", "key", "body"];
    for damage in
        damages(engine, 0, 0).into_iter().filter(|it| it.table == "event" && columns.contains(&it.column))
    {
        service.stop();
        disarm(service.database());
        let (break_it, repair_it) = damage.statements(service.database(), &mut rng);
        service.database().execute(&break_it).unwrap();
        let starts = service.try_start_again();
        // A service that does not start on a damaged record serves nothing of it. What a start does not read is no reason
        // not to serve the rest.
        assert!(starts || matches!(damage.column, "leaf" | "header"), "{}: no start", damage.column);
        if starts {
            let path = format!("/v1/trials/{TRIAL}");
            for route in ["events?after=6&limit=1", "events", "events/7/receipt"] {
                let answer = monitor.get(&format!("{path}/{route}"));
                let problem = answer.problem(500, "damaged");
                assert!(
                    problem["detail"].as_str().unwrap().contains("event 7"),
                    "{}: {problem}",
                    damage.column
                );
            }
            let others = monitor.get(&format!("{path}/events?limit=7")).expect(200).json();
            assert_eq!(others["events"].as_array().unwrap()[..], sound[..7]);
            let (_, export) = try_export(&service, &monitor, TRIAL);
            assert_eq!(
                export["state"], "failed",
                "{}: a damaged record was exported: {export}",
                damage.column
            );
            service.kill();
        }
        service.database().execute(&repair_it).unwrap();
        service.start_again();
        assert_eq!(events_of(&monitor, TRIAL), sound);
    }
}

fn in_every_published_file(engine: Engine) {
    let mut service = service_with_a_trial(engine, 0);
    let verifier = Verifier::of(&service);
    // So that nothing is published meanwhile.
    service.stop();
    let log = service.published();
    verifier.log(&log).assert_sound();
    let mut rng = Rng::new(seed("published"));
    let files = all_files(&log);
    let name = |file: &std::path::Path| file.strip_prefix(&log).unwrap().to_str().unwrap().to_owned();
    let names: Vec<String> = files.iter().map(|file| name(file)).collect();
    for part in ["checkpoint", "tile/0/", "tile/entries/", "notes/"] {
        assert!(names.iter().any(|name| name.starts_with(part)), "no {part} among {names:?}");
    }
    for file in &files {
        let bytes = fs::read(file).unwrap();
        let at = usize::try_from(rng.between(0, bytes.len() as u64 - 1)).unwrap();
        fs::write(file, flip(&bytes, at)).unwrap();
        let verdict = verifier.log(&log);
        let name = name(file);
        if name.starts_with("tile/entries/") && verdict.code == 1 {
            // A damaged entry is named by its file, or as the seal that it is.
            let findings = verdict.report["findings"].to_string();
            assert!(findings.contains(&name) || findings.contains("seal "), "{name} at {at}: {findings}");
        } else {
            verdict.assert_names(&name);
        }
        fs::write(file, bytes).unwrap();
    }
    verifier.log(&log).assert_sound();
}

fn in_every_file_of_a_dataset(engine: Engine) {
    let service = service_with_a_trial(engine, 10);
    let verifier = Verifier::of(&service);
    let room = verifier.room("dataset");
    let names = unpack(&export(&service, &service.client(Role::Monitor), TRIAL), &room);
    for part in ["record.ndjson", "head.json", "manifest.dsse.json", "policy.txt", "lineage.ndjson", "data/"]
    {
        assert!(names.iter().any(|name| name.starts_with(part)), "no {part} among {names:?}");
    }
    let zip = verifier.room("zips").join("dataset.zip");
    zip_of(&room, &names, &zip);
    verifier.dataset(&room).assert_sound();
    verifier.dataset(&zip).assert_sound();
    let mut rng = Rng::new(seed("dataset"));
    for name in &names {
        let file = room.join(name);
        let bytes = fs::read(&file).unwrap();
        for _ in 0..3 {
            let at = usize::try_from(rng.between(0, bytes.len() as u64 - 1)).unwrap();
            fs::write(&file, flip(&bytes, at)).unwrap();
            println!("{name} at {at}");
            verifier.dataset(&room).assert_names(name);
            zip_of(&room, &names, &zip);
            verifier.dataset(&zip).assert_names(name);
        }
        fs::write(&file, &bytes).unwrap();
    }
    // A file too few, and one too many.
    let record = room.join("record.ndjson");
    let bytes = fs::read(&record).unwrap();
    fs::remove_file(&record).unwrap();
    verifier.dataset(&room).assert_names("record.ndjson");
    fs::write(&record, bytes).unwrap();
    fs::write(room.join("data/extra.json"), "{}").unwrap();
    verifier.dataset(&room).assert_names("data/extra.json");
}

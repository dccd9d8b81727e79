//! The processor time of this process and, apart from it, of a PostgreSQL server on the same machine, as Linux counts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sqlx::{Connection as _, PgConnection};

/// One tick of the kernel's account of processes that have ended: 1/100 s on Linux, whatever the machine.
const TICK: Duration = Duration::from_millis(10);

/// Processor time since the beginning.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// Of the threads of this process.
    pub(crate) own: Duration,
    /// Of the PostgreSQL server; nothing where there is none.
    pub(crate) server: Duration,
}

impl Cpu {
    pub(crate) fn since(self, before: Self) -> Self {
        let (own, server) = (self.own.saturating_sub(before.own), self.server.saturating_sub(before.server));
        Self { own, server }
    }
}

/// A figure to three places.
pub(crate) fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

/// What something took.
pub(crate) struct Spent {
    pub(crate) time: Duration,
    pub(crate) cpu: Cpu,
}

/// Reads processor times.
pub(crate) struct Meter {
    /// The server's first process, of which all others are children.
    postmaster: Option<u32>,
    session: Option<PgConnection>,
}

impl Meter {
    /// Of this process, and of the server at this address.
    pub(crate) async fn new(url: Option<&str>) -> Result<Self> {
        let Some(url) = url else { return Ok(Self { postmaster: None, session: None }) };
        let mut session = PgConnection::connect(url).await?;
        let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut session).await?;
        let parent = Stat::read(u32::try_from(backend)?).map(|stat| stat.parent);
        Ok(Self { postmaster: Some(parent.context("PostgreSQL runs elsewhere")?), session: Some(session) })
    }

    /// Lets the server write out what is waiting, so that it is no burden of what is measured next.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        if let Some(session) = &mut self.session {
            sqlx::query("CHECKPOINT").execute(session).await?;
        }
        Ok(())
    }

    pub(crate) fn read(&self) -> Result<Cpu> {
        Ok(Cpu { own: Self::own()?, server: self.server()? })
    }

    /// The time that the machine's processors have been at work, whoever for.
    pub(crate) fn machine() -> Result<Duration> {
        let stat = fs::read_to_string("/proc/stat")?;
        let first = stat.lines().next().context("/proc/stat is empty")?;
        // "cpu", then user, nice, system, idle, iowait, irq, softirq, steal (proc_stat(5)).
        let ticks: Vec<u32> = first.split_whitespace().skip(1).take(8).flat_map(str::parse).collect();
        let idle = |place: &usize| *place == 3 || *place == 4;
        let busy = ticks.iter().enumerate().filter(|(place, _)| !idle(place)).map(|(_, ticks)| *ticks);
        Ok(TICK * busy.sum::<u32>())
    }

    /// The bytes that the server has written ahead of its tables since it was made; 0 without a server.
    pub(crate) async fn write_ahead(&mut self) -> Result<u64> {
        let Some(session) = &mut self.session else { return Ok(0) };
        let bytes = sqlx::query_scalar("SELECT (pg_current_wal_insert_lsn() - '0/0')::BIGINT");
        let bytes: i64 = bytes.fetch_one(session).await?;
        Ok(u64::try_from(bytes)?)
    }

    /// Does something, and tells what it took. What reading costs here is none of it.
    pub(crate) async fn measure<T>(&self, work: impl Future<Output = Result<T>>) -> Result<(Spent, T)> {
        let server = self.server()?;
        let (own, begun) = (Self::own()?, Instant::now());
        let done = work.await?;
        let (time, after) = (begun.elapsed(), Self::own()?);
        let before = Cpu { own, server };
        Ok((Spent { time, cpu: Cpu { own: after, server: self.server()? }.since(before) }, done))
    }

    fn own() -> Result<Duration> {
        let mut own = Duration::ZERO;
        for thread in fs::read_dir("/proc/self/task")? {
            own += on_processor(&thread?.path()).unwrap_or_default();
        }
        Ok(own)
    }

    fn server(&self) -> Result<Duration> {
        let Some(postmaster) = self.postmaster else { return Ok(Duration::ZERO) };
        let first = Stat::read(postmaster).context("PostgreSQL is gone")?;
        let mut server = TICK * first.ticks_of_ended + on_processor(&process(postmaster)).unwrap_or_default();
        let children = process(postmaster).join("task").join(postmaster.to_string()).join("children");
        for child in fs::read_to_string(children)?.split_whitespace() {
            server += on_processor(&process(child.parse()?)).unwrap_or_default();
        }
        Ok(server)
    }
}

fn process(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// How long a thread, or the only thread of a process, has been on a processor; `None` where it has ended.
fn on_processor(of: &Path) -> Option<Duration> {
    let text = fs::read_to_string(of.join("schedstat")).ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

/// What `/proc/…/stat` says of a process (proc_pid_stat(5)).
struct Stat {
    parent: u32,
    /// Of its children that have ended.
    ticks_of_ended: u32,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(process(pid).join("stat")).ok()?;
        // The second field, in parentheses, is a name in which anything may stand.
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        // The first of these is field 3; cutime and cstime are fields 16 and 17.
        let number = |field: usize| fields.get(field - 3)?.parse::<u32>().ok();
        Some(Self { parent: number(4)?, ticks_of_ended: number(16)? + number(17)? })
    }
}

//! Where a copy is pulled from.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use trialseal_runtime::client::Authorities;
use trialseal_runtime::shutdown::Shutdown;
use ureq::Agent;

/// How long one resource may take: less than a process that is to end waits for it. A full bundle of seals has some 100 KB.
const PATIENCE: Duration = Duration::from_secs(10);

/// A log as it is published: the paths of C2SP tlog-tiles, and `notes/<N>`.
pub(super) trait Source {
    /// What stands at a path, in at most `limit` bytes; `None` where nothing does.
    fn get(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>>;
}

/// A log at an address.
#[derive(Debug)]
pub(super) struct HttpSource {
    prefix: String,
    agent: Agent,
    shutdown: Shutdown,
}

impl HttpSource {
    /// The log below this address, until the process is asked to end.
    pub(super) fn new(prefix: &str, authorities: &Authorities, shutdown: Shutdown) -> Self {
        let agent = authorities.agent(PATIENCE);
        Self { prefix: prefix.trim_end_matches('/').to_owned(), agent, shutdown }
    }

    pub(super) fn is_ending(&self) -> bool {
        self.shutdown.is_requested()
    }
}

impl Source for HttpSource {
    fn get(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        if self.is_ending() {
            bail!("the witness is ending");
        }
        let url = format!("{}/{path}", self.prefix);
        let mut answer = self.agent.get(&url).call().with_context(|| url.clone())?;
        match answer.status().as_u16() {
            200 => {
                let body = answer.body_mut().with_config().limit(limit as u64 + 1).read_to_vec();
                let body = body.with_context(|| url.clone())?;
                if body.len() > limit {
                    bail!("{url} has more than {limit} bytes");
                }
                Ok(Some(body))
            }
            404 | 410 => Ok(None),
            status => bail!("{url} was answered with {status}"),
        }
    }
}

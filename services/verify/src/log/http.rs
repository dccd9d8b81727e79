//! A log that is read over plain HTTP, one request at a time. Without TLS: what is read is checked all the same.

use std::io;
use std::time::Duration;

use super::source::{Source, bounded};

/// Longest wait for one resource.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A log below an address.
#[derive(Debug)]
pub struct LogUrl {
    prefix: String,
    agent: ureq::Agent,
}

impl LogUrl {
    /// The log whose checkpoint is at `<prefix>/checkpoint`.
    pub fn new(prefix: &str) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build();
        Self { prefix: prefix.trim_end_matches('/').to_owned(), agent: config.into() }
    }
}

impl Source for LogUrl {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match self.agent.get(format!("{}/{path}", self.prefix)).call() {
            Ok(mut answer) => bounded(answer.body_mut().as_reader()).map(Some),
            Err(ureq::Error::StatusCode(404 | 410)) => Ok(None),
            Err(ureq::Error::Io(error)) => Err(error),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn partials(&self, _: &str) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

//! Where a ledger is read from: one trait, and the ledger at an address.

use std::net::IpAddr;
use std::time::Duration;

use trialseal_runtime::client::Authorities;
use ureq::Agent;

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read, bytes: a page of events with all their data stays below.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// An answer to a GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// No answer, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// Whether a host, without a port, is the machine that this runs on.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A ledger, by the paths below its address: `log/…` and `v1/…`.
pub trait Place {
    /// The answer to a GET of `path`, which may end in a query, whatever its status.
    ///
    /// # Errors
    /// Where nobody answers.
    fn get(&self, path: &str) -> Result<Answer, Unreachable>;
}

/// Asks over HTTP or HTTPS, one request at a time, and follows no redirect.
#[derive(Debug, Clone)]
pub struct Http {
    agent: Agent,
}

impl Http {
    /// Believes these authorities about the names of servers.
    pub fn new(authorities: &Authorities) -> Self {
        Self { agent: authorities.agent(TIMEOUT) }
    }

    /// The answer to a GET, with a bearer token if there is one.
    ///
    /// # Errors
    /// Where nobody answers, or with more than this program reads.
    pub fn get(&self, url: &str, token: Option<&str>) -> Result<Answer, Unreachable> {
        let mut request = self.agent.get(url);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let read = || {
            let mut answer = request.call()?;
            let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec()?;
            Ok::<_, ureq::Error>(Answer { status: answer.status().as_u16(), body })
        };
        read().map_err(|error| Unreachable(error.to_string()))
    }

    /// Posts a JSON body with further headers; gives the status.
    ///
    /// # Errors
    /// Where nobody answers.
    pub fn post(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<u16, Unreachable> {
        let mut request = self.agent.post(url).content_type("application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send(body).map_err(|error| Unreachable(error.to_string()))?;
        Ok(answer.status().as_u16())
    }
}

/// A ledger at an address.
#[derive(Debug)]
pub struct LedgerUrl {
    http: Http,
    prefix: String,
    token: Option<String>,
}

impl LedgerUrl {
    /// The ledger whose checkpoint is at `<prefix>/log/checkpoint`. The token goes along with `v1/…` alone.
    pub fn new(http: Http, prefix: &str, token: Option<String>) -> Self {
        Self { http, prefix: prefix.trim_end_matches('/').to_owned(), token }
    }
}

impl Place for LedgerUrl {
    fn get(&self, path: &str) -> Result<Answer, Unreachable> {
        let token = self.token.as_deref().filter(|_| path.starts_with("v1/"));
        self.http.get(&format!("{}/{path}", self.prefix), token)
    }
}

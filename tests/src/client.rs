//! The HTTP API, as somebody with a token sees it.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use serde_json::Value;
use trialseal_runtime::client::Authorities;
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, AsSendBody, Body, SendBody};

/// How long one request may take. Large enough for the largest file of the tests on a busy machine.
const REQUEST_WITHIN: Duration = Duration::from_mins(2);

/// Largest answer.
const ANSWER_BYTES: u64 = 1 << 30;

/// One person's access to a service. Follows the service when it is started again at another port.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    address: Arc<RwLock<String>>,
    token: Option<String>,
}

/// What the service answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    asked: String,
}

impl Client {
    pub(crate) fn new(agent: Agent, address: Arc<RwLock<String>>, token: Option<String>) -> Self {
        Self { agent, address, token }
    }

    /// What asks: by TLS where the authority of the service's certificate is known.
    pub(crate) fn agent(authority: Option<&Path>) -> Agent {
        if authority.is_some() {
            return Authorities::with_file(authority).unwrap().agent(REQUEST_WITHIN);
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(REQUEST_WITHIN))
            .build();
        config.into()
    }

    /// The token.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// The service's address, such as `http://127.0.0.1:8480`.
    pub fn address(&self) -> String {
        self.address.read().unwrap().clone()
    }

    /// Reads.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], SendBody::none()).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// Reads JSON.
    pub fn json(&self, path: &str) -> Value {
        self.get(path).expect(200).json()
    }

    /// Sends a command under an idempotency key.
    pub fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.try_post(path, key, body).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// Sends a command to a service that may be dead or dying.
    pub fn try_post(&self, path: &str, key: &str, body: &Value) -> Result<Answer, ureq::Error> {
        self.try_post_text(path, key, &body.to_string())
    }

    /// Sends a command or a file as text to a service that may be dead or dying.
    pub fn try_post_text(&self, path: &str, key: &str, text: &str) -> Result<Answer, ureq::Error> {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
        self.send("POST", path, &headers, text)
    }

    /// Sends a file as it is read.
    pub fn post_reader(&self, path: &str, key: &str, mut file: impl Read) -> Answer {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
        let sent = self.send("POST", path, &headers, SendBody::from_reader(&mut file));
        sent.unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// Sends anything.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsSendBody,
    ) -> Result<Answer, ureq::Error> {
        let response = self.response(method, path, headers, body)?;
        Answer::read(response, format!("{method} {path}"))
    }

    /// Begins to read an answer that does not end.
    pub fn stream(&self, path: &str, headers: &[(&str, &str)]) -> impl Read + use<> {
        let response = self.response("GET", path, headers, SendBody::none()).unwrap();
        assert_eq!(response.status(), 200, "GET {path}");
        response.into_body().into_reader()
    }

    fn response(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsSendBody,
    ) -> Result<Response<Body>, ureq::Error> {
        let url = format!("{}{path}", self.address.read().unwrap());
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        self.agent.run(request.body(body).map_err(ureq::Error::from)?)
    }
}

impl Answer {
    fn read(mut response: Response<Body>, asked: String) -> Result<Self, ureq::Error> {
        let body = response.body_mut().with_config().limit(ANSWER_BYTES).read_to_vec()?;
        Ok(Self { status: response.status().as_u16(), headers: response.headers().clone(), body, asked })
    }

    /// The answer, which must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        self
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{} is no JSON: {}", self.asked, self.text()))
    }

    /// The answer's problem details (RFC 9457), which must have this status and be of this kind.
    #[track_caller]
    pub fn problem(&self, status: u16, kind: &str) -> Value {
        let problem = self.any_problem();
        assert_eq!(problem["status"], status, "{}: {problem}", self.asked);
        assert_eq!(problem["type"], format!("urn:trialseal:problem:{kind}"), "{}: {problem}", self.asked);
        problem
    }

    /// The answer's problem details, whatever they are.
    #[track_caller]
    pub fn any_problem(&self) -> Value {
        assert!(self.status >= 400, "{} was answered with {}: {}", self.asked, self.status, self.text());
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}: {}",
            self.asked,
            self.text()
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{}: {problem}", self.asked);
        for member in ["type", "title", "detail"] {
            assert!(
                problem[member].as_str().is_some_and(|text| !text.is_empty()),
                "{}: {problem}",
                self.asked
            );
        }
        problem
    }
}

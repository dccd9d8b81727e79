//! A browser without scripts: keeps cookies, follows redirects, fills forms in.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ureq::http::{Request, Response};
use ureq::{Agent, Body};

/// Redirects that are followed.
const REDIRECTS: usize = 20;

/// Somebody's browser.
#[derive(Debug)]
pub struct Browser {
    agent: Agent,
    /// By host and port.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    /// What servers said about cookies, whole.
    pub set_cookies: Vec<String>,
    /// Addresses that are answered elsewhere, as a proxy that speaks TLS does it.
    elsewhere: Vec<(String, String)>,
}

/// A page that a browser shows.
#[derive(Debug)]
pub struct Page {
    /// Where it is.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// Its HTML.
    pub html: String,
    headers: ureq::http::HeaderMap,
}

impl Page {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// What stands in the first `attribute="…"` of the HTML after `mark`.
    #[track_caller]
    pub fn after(&self, mark: &str, attribute: &str) -> String {
        let rest = self.html.split_once(mark).unwrap_or_else(|| panic!("no {mark} in {}", self.html)).1;
        let value = rest.split_once(&format!("{attribute}=\"")).unwrap().1;
        value.split('"').next().unwrap().replace("&amp;", "&")
    }
}

impl Browser {
    /// A new one, without cookies.
    #[expect(clippy::new_without_default, reason = "a test opens one on purpose")]
    pub fn new() -> Self {
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).build();
        Self {
            agent: config.into(),
            cookies: BTreeMap::new(),
            set_cookies: Vec::new(),
            elsewhere: Vec::new(),
        }
    }

    /// Has what begins with an address answered by another, which sees nothing of it.
    pub fn behind_a_proxy(mut self, public: &str, service: &str) -> Self {
        self.elsewhere.push((public.to_owned(), service.to_owned()));
        self
    }

    /// Opens a page.
    pub fn open(&mut self, url: &str) -> Page {
        self.go("GET", url, &[], None)
    }

    /// Sends a form from a page of the same site.
    pub fn submit(&mut self, url: &str, fields: &[(&str, &str)]) -> Page {
        let origin = origin(url);
        self.go("POST", url, &[("origin", &origin)], Some(fields))
    }

    /// Sends a form with these headers, whatever they say of where it comes from.
    pub fn submit_with(&mut self, url: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Page {
        self.go("POST", url, headers, Some(fields))
    }

    /// What a cookie of a site holds.
    pub fn cookie(&self, url: &str, name: &str) -> Option<String> {
        self.cookies.get(&host(url))?.get(name).cloned()
    }

    /// Puts a cookie there.
    pub fn set_cookie(&mut self, url: &str, name: &str, value: &str) {
        self.cookies.entry(host(url)).or_default().insert(name.to_owned(), value.to_owned());
    }

    fn go(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        fields: Option<&[(&str, &str)]>,
    ) -> Page {
        let mut response = self.send(method, url, headers, fields);
        let mut at = url.to_owned();
        for _ in 0..REDIRECTS {
            let status = response.status().as_u16();
            let location = response.headers().get("location").and_then(|value| value.to_str().ok());
            let Some(location) = location.filter(|_| matches!(status, 301..=303 | 307 | 308)) else { break };
            at = if location.starts_with('/') {
                format!("{}{location}", origin(&at))
            } else {
                location.to_owned()
            };
            response = self.send("GET", &at, &[], None);
        }
        let (parts, mut body) = response.into_parts();
        let html = body.read_to_string().unwrap();
        Page { url: at, status: parts.status.as_u16(), html, headers: parts.headers }
    }

    fn send(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        fields: Option<&[(&str, &str)]>,
    ) -> Response<Body> {
        let proxied =
            self.elsewhere.iter().find_map(|(public, service)| Some((service, url.strip_prefix(public)?)));
        let asked = proxied.map_or_else(|| url.to_owned(), |(service, rest)| format!("{service}{rest}"));
        let mut request = Request::builder().method(method).uri(asked);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(cookies) = self.cookies.get(&host(url)).filter(|cookies| !cookies.is_empty()) {
            let pairs: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", pairs.join("; "));
        }
        let response = match fields {
            None => self.agent.run(request.body(()).unwrap()),
            Some(fields) => {
                let request = request.header("content-type", "application/x-www-form-urlencoded");
                self.agent.run(request.body(encode(fields)).unwrap())
            }
        };
        let response = response.unwrap_or_else(|error| panic!("{method} {url}: {error}"));
        for cookie in response.headers().get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            self.set_cookies.push(cookie.to_owned());
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            let over = value.is_empty() || cookie.contains("Max-Age=0") || cookie.contains("1970");
            let cookies = self.cookies.entry(host(url)).or_default();
            if over {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        response
    }
}

/// Scheme, host and port.
fn origin(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}

fn host(url: &str) -> String {
    url.split('/').nth(2).unwrap_or_default().to_owned()
}

fn encode(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        text.bytes().fold(String::new(), |mut escaped, byte| {
            if byte.is_ascii_alphanumeric() {
                escaped.push(char::from(byte));
            } else {
                let _ = write!(escaped, "%{byte:02X}");
            }
            escaped
        })
    };
    fields
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect::<Vec<_>>()
        .join("&")
}

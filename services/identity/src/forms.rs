//! What forms of pages rest on: that they come from pages of our own, from where, and the cookie of a session.
//!
//! Three things keep another site from sending a form in somebody's name. The session's cookie is `SameSite=Lax`, so browsers
//! send none along with a form of another site. Browsers say where a form comes from (`Sec-Fetch-Site`, `Origin`), and one
//! that comes from elsewhere, or without a word of it, is refused. And a form of somebody who has logged in repeats a text
//! that only a page of ours could have shown.

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{HOST, ORIGIN};
use sha3::{Digest, Sha3_256};
use trialseal_access::Token;
use trialseal_access::http::session_token;
use trialseal_access::{Permission, Principal};
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_store::{AccountRow, SessionRow};

use crate::Identity;
use crate::problems::{forbidden, of_store};
use crate::sessions::principal_of;

/// Somebody who has logged in, with the text that their forms repeat.
pub(crate) struct LoggedIn {
    pub(crate) principal: Principal,
    pub(crate) account: AccountRow,
    pub(crate) session: SessionRow,
    pub(crate) form_token: String,
}

impl Identity {
    /// Refuses a form that does not come from a page of ours.
    pub(crate) fn same_origin(&self, request: &HttpRequest) -> Result<(), Problem> {
        if self.is_from_own_page(request) {
            return Ok(());
        }
        Err(forbidden("This form was not sent from a page of this service."))
    }

    /// Whether the browser says that a page of ours sent this.
    pub(crate) fn is_from_own_page(&self, request: &HttpRequest) -> bool {
        let header = |name| request.headers().get(name).and_then(|value: &_| value.to_str().ok());
        let site = request.headers().get("sec-fetch-site").map(|site| site.to_str().unwrap_or_default());
        let origin = header(ORIGIN);
        let ours = origin.is_some_and(|origin| match (&self.parts.address, header(HOST)) {
            (Some(address), _) => origin.eq_ignore_ascii_case(address),
            (None, Some(host)) => {
                origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host))
            }
            (None, None) => false,
        });
        match (site, origin) {
            (Some("same-origin"), _) => true,
            (None, Some(_)) => ours,
            _ => false,
        }
    }

    /// Who has logged in with the browser that a request comes from; `None` where nobody has.
    pub(crate) async fn of_browser(&self, request: &HttpRequest) -> Result<Option<LoggedIn>, Problem> {
        let Some(cookie) = session_token(request)? else { return Ok(None) };
        let found = self.session_of(&cookie.hash()).await.map_err(|error| of_store(&error))?;
        let Some((session, account)) = found else { return Ok(None) };
        let principal = principal_of(&account).map_err(|error| of_store(&error))?;
        Ok(Some(LoggedIn { principal, account, session, form_token: form_token(&cookie) }))
    }

    /// Who sends a form that changes something, from a page that was shown to them.
    pub(crate) async fn sender(&self, request: &HttpRequest, sent: &str) -> Result<LoggedIn, Problem> {
        self.same_origin(request)?;
        let logged_in = self.of_browser(request).await?.ok_or_else(|| {
            Problem::new(ProblemKind::Unauthenticated, "You have not logged in, or not for a while.")
        })?;
        if logged_in.form_token != sent {
            return Err(forbidden("This form was not sent from a page that was shown to you."));
        }
        Ok(logged_in)
    }

    /// As [`Self::sender`], of an administrator.
    pub(crate) async fn administrator(
        &self,
        request: &HttpRequest,
        sent: &str,
    ) -> Result<Principal, Problem> {
        let logged_in = self.sender(request, sent).await?;
        if !logged_in.principal.may(Permission::ManageAccess) {
            return Err(forbidden("Your role gives no roles to others."));
        }
        Ok(logged_in.principal)
    }

    /// The address that a request comes from: that of the peer, or the last one in front of the proxies that are believed.
    pub fn address_of(&self, request: &HttpRequest) -> IpAddr {
        let unknown = IpAddr::from([0, 0, 0, 0]);
        let peer = request.peer_addr().map_or(unknown, |address| address.ip().to_canonical());
        if !self.parts.proxies.contains(&peer) {
            return peer;
        }
        let lines = request.headers().get_all("x-forwarded-for");
        // One that is no text is kept as one that cannot be read: what stands before it is not to be believed.
        let lines: Vec<_> = lines.map(|line| line.to_str().unwrap_or_default()).collect();
        in_front_of(&self.parts.proxies, peer, &lines)
    }

    /// The cookie of a session; without a token one that ends it.
    pub(crate) fn cookie(&self, token: Option<&Token>) -> Cookie<'static> {
        let life = token.map_or(Duration::ZERO, |_| Duration::hours(crate::sessions::LIFE_HOURS));
        self.cookie_of(self.session_cookie(), token.map_or("", Token::reveal).to_owned(), life)
    }

    /// A cookie that no script reads and no other site's form brings along.
    pub(crate) fn cookie_of(&self, name: &'static str, value: String, life: Duration) -> Cookie<'static> {
        Cookie::build(name, value)
            .path("/")
            .http_only(true)
            // Not `Strict`: whoever comes back from a provider comes from another site.
            .same_site(SameSite::Lax)
            .secure(self.is_secure())
            .max_age(life)
            .finish()
    }
}

/// What forms repeat of a session: it cannot be turned back into the cookie, and nobody else can make it.
fn form_token(cookie: &Token) -> String {
    let mut hash = Sha3_256::new();
    hash.update(b"trialseal-form\n");
    hash.update(cookie.reveal().as_bytes());
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
/// Who asked the first of the proxies, all believed, through which `peer` came to ask: each adds at the end whom it was asked by.
fn in_front_of(proxies: &[IpAddr], peer: IpAddr, lines: &[&str]) -> IpAddr {
    let mut last = peer;
    // What stands before an entry that cannot be read, anybody may have written.
    for address in lines.iter().rev().flat_map(|line| line.rsplit(',')).map_while(address_in) {
        last = address;
        if !proxies.contains(&address) {
            break;
        }
    }
    last
}

/// An entry of `X-Forwarded-For`, which some proxies write with a port.
fn address_in(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let with_port = || Some(entry.parse::<SocketAddr>().ok()?.ip());
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_stands_in_front_of_all_proxies_is_asked_for() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let proxies = ["127.0.0.1", "10.0.0.2"].map(address);
        for (lines, expected) in [
            (&[][..], "127.0.0.1"),
            (&["192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.9, 192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.9", "192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.9, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (&["192.0.2.1:5678"], "192.0.2.1"),
            (&["[2001:db8::1]:443"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.9, unknown"], "127.0.0.1"),
            (&["192.0.2.9", ""], "127.0.0.1"),
            (&["192.0.2.9, unknown, 10.0.0.2"], "10.0.0.2"),
        ] {
            assert_eq!(in_front_of(&proxies, address("127.0.0.1"), lines), address(expected), "{lines:?}");
        }
    }
}

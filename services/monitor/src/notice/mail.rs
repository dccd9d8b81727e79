//! Mail by SMTP: plain text, one message a recipient, so that a server that refuses one of them takes those for the others.

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{
    Certificate, CertificateStore, Tls, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::{Error, SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT};
use lettre::{Address, Message, SmtpTransport, Transport as _};
use trialseal_runtime::client::Authorities;
use trialseal_seal::hash::sha256;
use trialseal_seal::time::Timestamp;
use ureq::http::Uri;

use super::{Channel, Kind, Notice, Untold, plain};
use crate::place::is_this_machine;

/// Longest wait for one answer of the server.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Most characters of a foreign text in a line.
const LINE: usize = 500;
/// Most characters of what a server answers that are told.
const SAID: usize = 200;
/// What a server answers that takes no mail from us, whatever it says: RFC 4954, section 6.
const NOT_AUTHENTICATED: [u16; 6] = [432, 454, 530, 534, 535, 538];

/// Why mail cannot be sent like this.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// No address, or none that every server takes.
    #[error("{0:?} is no mail address in ASCII, such as alarms@example.org")]
    Address(String),
    /// No address of a server.
    #[error(
        "a mail server is smtps://HOST[:PORT], smtp://HOST[:PORT] or plain://HOST[:PORT], with nothing before or after; user \
         and password stand in a file"
    )]
    Server,
    /// Mail would go over the network for all to read.
    #[error(
        "plain:// is for a mail server on this machine; to others mail goes over smtps:// or smtp://, encrypted"
    )]
    Elsewhere,
    /// The authorities cannot be used.
    #[error("TLS to the mail server cannot be set up: {0}")]
    Tls(#[from] Error),
}

/// A mail server, and how it is reached.
#[derive(Clone)]
pub struct MailServer(SmtpTransport);

impl MailServer {
    /// The server at `smtps://HOST[:465]`, or at `smtp://HOST[:587]`, which has to offer STARTTLS, with a certificate of
    /// these authorities; or at `plain://HOST[:25]` on this machine, without TLS. With user and password, if there are any.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn new(
        url: &str,
        authorities: &Authorities,
        credentials: Option<(String, String)>,
    ) -> Result<Self, MailError> {
        let uri: Uri = url.parse().map_err(|_| MailError::Server)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let is_bare = uri.path_and_query().is_none_or(|rest| rest == "/");
        let authority = authority.filter(|_| is_bare).ok_or(MailError::Server)?;
        let host = authority.host().trim_matches(['[', ']']);
        let tls = || tls(host, authorities);
        let (tls, port) = match uri.scheme_str() {
            Some("smtps") => (Tls::Wrapper(tls()?), SUBMISSIONS_PORT),
            Some("smtp") => (Tls::Required(tls()?), SUBMISSION_PORT),
            Some("plain") if is_this_machine(host) => (Tls::None, SMTP_PORT),
            Some("plain") => return Err(MailError::Elsewhere),
            _ => return Err(MailError::Server),
        };
        let port = if authority.as_str() == authority.host() { Some(port) } else { authority.port_u16() };
        let transport = SmtpTransport::builder_dangerous(host)
            .tls(tls)
            .port(port.ok_or(MailError::Server)?)
            .timeout(Some(TIMEOUT));
        let transport = match credentials {
            Some((user, password)) => transport.credentials(Credentials::new(user, password)),
            None => transport,
        };
        Ok(Self(transport.build()))
    }
}

fn tls(host: &str, authorities: &Authorities) -> Result<TlsParameters, Error> {
    let mut tls = TlsParametersBuilder::new(host.to_owned()).certificate_store(CertificateStore::None);
    for certificate in authorities.certificates() {
        tls = tls.add_root_certificate(Certificate::from_der(certificate.to_vec())?);
    }
    tls.build()
}

/// Mail to one address.
pub struct Mail {
    server: MailServer,
    from: Address,
    to: Address,
}

impl Mail {
    /// Mail by a server, from one address to another.
    ///
    /// # Errors
    /// Where one of them is none.
    pub fn new(server: MailServer, from: &str, to: &str) -> Result<Self, MailError> {
        Ok(Self { server, from: address(from)?, to: address(to)? })
    }

    /// The message. Its id is the notice's, so that one that comes twice is known for the same.
    pub(super) fn message(&self, notice: &Notice, now: Timestamp) -> Result<Message, Untold> {
        let what = match notice.kind {
            Kind::Alarm => "alarm",
            Kind::Test => "test",
        };
        let (code, ledger) = (plain(&notice.code, LINE), plain(&notice.ledger, LINE));
        let seconds = Duration::from_secs(now.seconds().try_into().unwrap_or_default());
        Message::builder()
            .from(Mailbox::new(Some("trialseal-monitor".into()), self.from.clone()))
            .to(Mailbox::new(None, self.to.clone()))
            .subject(format!("[trialseal] {what} {code}: {ledger}"))
            .date(SystemTime::UNIX_EPOCH + seconds)
            .message_id(Some(format!("<{}@{}>", notice.id, self.from.domain())))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".into(),
            ))
            .singlepart(SinglePart::plain(text(notice)))
            .map_err(|error| Untold::Refused(error.to_string()))
    }
}

fn address(text: &str) -> Result<Address, MailError> {
    let address = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_graphic()));
    address.ok_or_else(|| MailError::Address(text.to_owned()))
}

impl Channel for Mail {
    fn kind(&self) -> &'static str {
        "mail"
    }

    fn mark(&self) -> String {
        let to: &str = self.to.as_ref();
        format!("mail-{}", &sha256(to.as_bytes()).to_string()[..12])
    }

    fn whom(&self) -> String {
        format!("mail to {}", self.to)
    }

    fn tell(&self, notice: &Notice, now: Timestamp) -> Result<(), Untold> {
        let message = self.message(notice, now)?;
        self.server.0.send(&message).map(|_| ()).map_err(|error| {
            let why = plain(&error.to_string(), SAID);
            match error.status().map(u16::from) {
                Some(status) if !NOT_AUTHENTICATED.contains(&status) => Untold::Refused(why),
                _ => Untold::Unusable(why),
            }
        })
    }
}

fn text(notice: &Notice) -> String {
    let (begin, end) = match notice.kind {
        Kind::Alarm => (
            "The monitor found something that proves or strongly suggests misbehaviour of a ledger.",
            "What to do:\n\
             - Keep the folder evidence/ and the file report.html of the monitor.\n\
             - Run a pass from another network, in another folder.\n\
             - Ask the operator of the ledger.\n\
             - Tell those who rely on the ledger.\n\
             - Do not start anew with --first before that: it would take what is shown now for the past.\n\
             docs/monitoring.md, \"What an alarm means\", says what each code stands for.\n\n\
             This is sent once. Whether the alarm stays, and what else was found, is in report.html.",
        ),
        Kind::Test => ("This is a test of the monitor's mail.", "There is nothing to do."),
    };
    let time = notice.time.to_string();
    let facts = [
        ("Ledger:", &notice.ledger),
        ("Code:", &notice.code),
        ("Found in:", &notice.record),
        ("What:", &notice.message),
        ("Found at:", &time),
        ("Evidence:", &notice.folder),
    ];
    let facts = facts.iter().filter(|(_, value)| !value.is_empty());
    let facts: Vec<_> = facts.map(|(name, value)| format!("{name:<10}{}", plain(value, LINE))).collect();
    format!("{begin}\n\n{}\n\n{end}\n", facts.join("\n"))
}

//! Every setting: its name in the environment, what it is where nobody sets it, and what it means.

/// A setting: name, default, meaning. A default in angle brackets is one that depends on other settings.
pub type Setting = (&'static str, &'static str, &'static str);

pub(super) const DIR: Setting = (
    "TRIALSEAL_DIR",
    "var",
    "Folder for the embedded database, keys, the published log, spooled uploads and exports.",
);
pub(super) const LISTEN: Setting = (
    "TRIALSEAL_LISTEN",
    "127.0.0.1",
    "IP address to listen on; give it a certificate, or put a proxy that speaks TLS in front, before opening it.",
);
pub(super) const PORT: Setting = ("TRIALSEAL_PORT", "8480", "TCP port to listen on; 0 takes any free one.");
pub(super) const TLS_CERT_FILE: Setting = (
    "TRIALSEAL_TLS_CERT_FILE",
    "<none>",
    "File of the service's certificate and those between it and its authority, in PEM: with it the port speaks TLS alone. \
     A file that is replaced is taken up within 10 s.",
);
pub(super) const TLS_KEY_FILE: Setting = (
    "TRIALSEAL_TLS_KEY_FILE",
    "<none>",
    "File of that certificate's private key, in PEM. Asked for where the other is set.",
);
pub(super) const DATABASE_URL: Setting = (
    "TRIALSEAL_DATABASE_URL",
    "sqlite",
    "`sqlite` for the embedded database in the folder, `sqlite:PATH` for one elsewhere, or `postgres://…`.",
);
pub(super) const DATABASE_CONNECTIONS: Setting = (
    "TRIALSEAL_DATABASE_CONNECTIONS",
    "16",
    "Connections to the record's PostgreSQL database at the most. Of no effect on the embedded database, which has nine.",
);
pub(super) const KEY_DATABASE_URL: Setting = (
    "TRIALSEAL_KEY_DATABASE_URL",
    "<`file` beside the embedded database, none beside PostgreSQL>",
    "Where the data keys lie, apart from the record: `file` for `keys/data-keys.sqlite` in the folder, where one machine \
     alone serves the ledger, or `postgres://…`, a PostgreSQL database of its own.",
);
pub(super) const ORIGIN: Setting = (
    "TRIALSEAL_ORIGIN",
    "<chosen at the first start>",
    "Name of the ledger for ever: a host and path without scheme, such as ledger.example.org/main.",
);
pub(super) const MASTER_KEY_FILE: Setting = (
    "TRIALSEAL_MASTER_KEY_FILE",
    "<dir>/keys/master.key",
    "File of the key that wraps the data keys; mode 0600.",
);
pub(super) const PKCS11_MODULE: Setting = (
    "TRIALSEAL_PKCS11_MODULE",
    "<none>",
    "Library (PKCS#11 module) of the token on which the key that wraps the data keys is made and kept, in the place of that file.",
);
pub(super) const PKCS11_TOKEN: Setting =
    ("TRIALSEAL_PKCS11_TOKEN", "<none>", "Label of that token. Asked for where the module is set.");
pub(super) const PKCS11_PIN_FILE: Setting = (
    "TRIALSEAL_PKCS11_PIN_FILE",
    "<none>",
    "File with the PIN of that token's user; mode 0600. Asked for where the module is set.",
);
pub(super) const POLICY_FILE: Setting = (
    "TRIALSEAL_POLICY_FILE",
    "<none>",
    "File of witnesses, groups and quorum (C2SP tlog-policy without a `log` line); without it no witness is asked. To be \
     chosen before the first start.",
);
pub(super) const CA_FILE: Setting = (
    "TRIALSEAL_CA_FILE",
    "<none>",
    "File of certificate authorities, as PEM, that are believed, beside the public ones, about the addresses of \
     witnesses, a timestamp authority and an OpenID Connect provider.",
);
pub(super) const WITNESS_PATIENCE_MS: Setting =
    ("TRIALSEAL_WITNESS_PATIENCE_MS", "5000", "Milliseconds that a witness may take to answer.");
pub(super) const TSA_URL: Setting = (
    "TRIALSEAL_TSA_URL",
    "<none>",
    "Address of a timestamp authority (RFC 3161) that says when published notes existed; without it none is asked.",
);
pub(super) const TSA_CA_FILE: Setting = (
    "TRIALSEAL_TSA_CA_FILE",
    "<none>",
    "File of the root or the issuer of that authority's certificate, in PEM: its answers are checked. Asked for where the \
     address is set.",
);
pub(super) const TSA_INTERVAL_SECONDS: Setting = (
    "TRIALSEAL_TSA_INTERVAL_SECONDS",
    "600",
    "Seconds from one timestamp to the next; public authorities limit how often they may be asked.",
);
pub(super) const SEAL_INTERVAL_MS: Setting =
    ("TRIALSEAL_SEAL_INTERVAL_MS", "1000", "Milliseconds between seals while there is something new.");
pub(super) const HEARTBEAT_SECONDS: Setting =
    ("TRIALSEAL_HEARTBEAT_SECONDS", "60", "Seconds between seals while there is nothing new.");
pub(super) const LOG: Setting =
    ("TRIALSEAL_LOG", "info", "Which log lines to write, such as `info,trialseal_sealer=debug`.");
pub(super) const LOG_FORMAT: Setting =
    ("TRIALSEAL_LOG_FORMAT", "human", "`human` or `json`, one object a line.");
pub(super) const BODY_BYTES: Setting = (
    "TRIALSEAL_BODY_BYTES",
    "1048576",
    "Largest body of a command; imports are streamed and have their own limit.",
);
pub(super) const BATCH_EVENTS: Setting = (
    "TRIALSEAL_BATCH_EVENTS",
    "2000",
    "Events in one transaction at the most: bounds how long appends wait for each other.",
);
pub(super) const QUEUE_EVENTS: Setting =
    ("TRIALSEAL_QUEUE_EVENTS", "20000", "Events that may wait to be written; more are answered with 503.");
pub(super) const QUEUE_BYTES: Setting = (
    "TRIALSEAL_QUEUE_BYTES",
    "67108864",
    "Bytes of events that may wait to be written; more are answered with 503.",
);
pub(super) const QUEUE_PATIENCE_MS: Setting =
    ("TRIALSEAL_QUEUE_PATIENCE_MS", "5000", "Milliseconds that a command waits for a place among them.");
pub(super) const UNSEALED_EVENTS: Setting = (
    "TRIALSEAL_UNSEALED_EVENTS",
    "500000",
    "Recorded events that may wait for their seal before appends are slowed down.",
);
pub(super) const IMPORT_FILE_BYTES: Setting =
    ("TRIALSEAL_IMPORT_FILE_BYTES", "4294967296", "Largest file that can be imported.");
pub(super) const IMPORT_SPOOL_BYTES: Setting =
    ("TRIALSEAL_IMPORT_SPOOL_BYTES", "17179869184", "Disk that all waiting imports may take together.");
pub(super) const IMPORT_JOBS: Setting =
    ("TRIALSEAL_IMPORT_JOBS", "2", "Imports that are worked on at a time.");
pub(super) const EXPORT_JOBS: Setting =
    ("TRIALSEAL_EXPORT_JOBS", "2", "Exports that are worked on at a time.");
pub(super) const EXPORT_KEEP_SECONDS: Setting = (
    "TRIALSEAL_EXPORT_KEEP_SECONDS",
    "86400",
    "Seconds that the file of a finished export is kept; after that the dataset has to be exported again.",
);
pub(super) const EXPORT_BYTES: Setting = (
    "TRIALSEAL_EXPORT_BYTES",
    "68719476736",
    "Disk that all finished exports may take together; the oldest files make room, the newest stays.",
);
pub(super) const PUBLIC_ADDRESS: Setting = (
    "TRIALSEAL_PUBLIC_ADDRESS",
    "<none>",
    "Where people reach the service, such as `https://ledger.example.org`: links begin with it, and with https cookies \
     travel over TLS alone. Needed for logging in at a provider.",
);
pub(super) const PROXIES: Setting = (
    "TRIALSEAL_PROXIES",
    "127.0.0.1,::1",
    "IP addresses of proxies, parted by commas, whose `X-Forwarded-For` is believed about who asks.",
);
pub(super) const REQUESTS_PER_SECOND_BY_IDENTITY: Setting = (
    "TRIALSEAL_REQUESTS_PER_SECOND_BY_IDENTITY",
    "1000",
    "Requests that one actor may send in a second, with whichever of their tokens and sessions; more are answered with 429. 0 \
     sets no limit.",
);
pub(super) const REQUESTS_PER_SECOND_BY_ADDRESS: Setting = (
    "TRIALSEAL_REQUESTS_PER_SECOND_BY_ADDRESS",
    "200",
    "Requests in a second from one address of callers who show no valid token or session. The published log and the health \
     routes are not counted. 0 sets no limit.",
);
pub(super) const OIDC_FILE: Setting = (
    "TRIALSEAL_OIDC_FILE",
    "<none>",
    "File that names an OpenID Connect provider and says which of its claims give which role.",
);
pub(super) const PUBLIC_TRIALS: Setting = (
    "TRIALSEAL_PUBLIC_TRIALS",
    "<none>",
    "Trials, parted by commas, whose overview (counts and protocol versions) the front page shows to everybody.",
);
pub(super) const SHUTDOWN_SECONDS: Setting =
    ("TRIALSEAL_SHUTDOWN_SECONDS", "30", "Seconds that roles have to end after SIGTERM.");

/// All settings, in the order in which the documentation lists them.
pub const SETTINGS: &[Setting] = &[
    DIR,
    LISTEN,
    PORT,
    TLS_CERT_FILE,
    TLS_KEY_FILE,
    DATABASE_URL,
    DATABASE_CONNECTIONS,
    KEY_DATABASE_URL,
    ORIGIN,
    MASTER_KEY_FILE,
    PKCS11_MODULE,
    PKCS11_TOKEN,
    PKCS11_PIN_FILE,
    POLICY_FILE,
    CA_FILE,
    WITNESS_PATIENCE_MS,
    TSA_URL,
    TSA_CA_FILE,
    TSA_INTERVAL_SECONDS,
    SEAL_INTERVAL_MS,
    HEARTBEAT_SECONDS,
    LOG,
    LOG_FORMAT,
    BODY_BYTES,
    BATCH_EVENTS,
    QUEUE_EVENTS,
    QUEUE_BYTES,
    QUEUE_PATIENCE_MS,
    UNSEALED_EVENTS,
    IMPORT_FILE_BYTES,
    IMPORT_SPOOL_BYTES,
    IMPORT_JOBS,
    EXPORT_JOBS,
    EXPORT_KEEP_SECONDS,
    EXPORT_BYTES,
    PUBLIC_ADDRESS,
    PROXIES,
    REQUESTS_PER_SECOND_BY_IDENTITY,
    REQUESTS_PER_SECOND_BY_ADDRESS,
    OIDC_FILE,
    PUBLIC_TRIALS,
    SHUTDOWN_SECONDS,
];

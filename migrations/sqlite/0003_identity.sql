-- What a token grants has an id and perhaps an end, and is told to the record (`known`: 0 not yet, 1 that it was given, 2
-- that it was taken back as well).
ALTER TABLE token RENAME TO token_before;
CREATE TABLE token (
    ledger       INTEGER NOT NULL,
    hash         BLOB    NOT NULL CHECK (length(hash) = 32),
    id           BLOB    NOT NULL CHECK (length(id) = 16),
    actor        TEXT    NOT NULL,
    role         TEXT    NOT NULL,
    organisation TEXT    NOT NULL,
    source_system TEXT,
    trials       TEXT,
    expires      INTEGER,
    revoked      INTEGER NOT NULL DEFAULT FALSE CHECK (revoked IN (0, 1)),
    known        INTEGER NOT NULL DEFAULT 0 CHECK (known BETWEEN 0 AND 2),
    PRIMARY KEY (ledger, hash),
    UNIQUE (ledger, id)
) STRICT, WITHOUT ROWID;
INSERT INTO token (ledger, hash, id, actor, role, organisation, source_system, trials, revoked)
    SELECT ledger, hash, randomblob(16), actor, role, organisation, source_system, trials, revoked FROM token_before;
DROP TABLE token_before;

-- People's accounts. One with a login name is the service's own; one with issuer and subject is a provider's.
CREATE TABLE account (
    ledger       INTEGER NOT NULL,
    id           BLOB    NOT NULL CHECK (length(id) = 16),
    login        TEXT,
    issuer       TEXT,
    subject      TEXT    CHECK ((issuer IS NULL) = (subject IS NULL)),
    actor        TEXT    NOT NULL,
    role         TEXT    NOT NULL,
    organisation TEXT    NOT NULL,
    trials       TEXT,
    password     TEXT,
    disabled     INTEGER NOT NULL DEFAULT FALSE CHECK (disabled IN (0, 1)),
    known        INTEGER NOT NULL DEFAULT 0 CHECK (known BETWEEN 0 AND 2),
    PRIMARY KEY (ledger, id),
    UNIQUE (ledger, login),
    UNIQUE (ledger, issuer, subject)
) STRICT, WITHOUT ROWID;

-- One-time links; an account has one at the most.
CREATE TABLE invitation (
    ledger  INTEGER NOT NULL,
    account BLOB    NOT NULL CHECK (length(account) = 16),
    hash    BLOB    NOT NULL CHECK (length(hash) = 32),
    expires INTEGER NOT NULL,
    PRIMARY KEY (ledger, account),
    UNIQUE (ledger, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    ledger  INTEGER NOT NULL,
    hash    BLOB    NOT NULL CHECK (length(hash) = 32),
    account BLOB    NOT NULL CHECK (length(account) = 16),
    seen    INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (ledger, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_account ON session (ledger, account);

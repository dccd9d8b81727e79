-- What a token grants has an id and perhaps an end, and is told to the record (`known`: 0 not yet, 1 that it was given, 2
-- that it was taken back as well).
ALTER TABLE token
    ADD COLUMN id      UUID     NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN expires BIGINT,
    ADD COLUMN known   SMALLINT NOT NULL DEFAULT 0 CHECK (known BETWEEN 0 AND 2),
    ADD UNIQUE (ledger, id);
ALTER TABLE token ALTER COLUMN id DROP DEFAULT;

-- People's accounts. One with a login name is the service's own; one with issuer and subject is a provider's.
CREATE TABLE account (
    ledger       SMALLINT         NOT NULL,
    id           UUID             NOT NULL,
    login        TEXT COLLATE "C",
    issuer       TEXT COLLATE "C",
    subject      TEXT COLLATE "C" CHECK ((issuer IS NULL) = (subject IS NULL)),
    actor        TEXT COLLATE "C" NOT NULL,
    role         TEXT             NOT NULL,
    organisation TEXT             NOT NULL,
    trials       TEXT COLLATE "C",
    password     TEXT,
    disabled     BOOLEAN          NOT NULL DEFAULT FALSE,
    known        SMALLINT         NOT NULL DEFAULT 0 CHECK (known BETWEEN 0 AND 2),
    PRIMARY KEY (ledger, id),
    UNIQUE (ledger, login),
    UNIQUE (ledger, issuer, subject)
);

-- One-time links; an account has one at the most.
CREATE TABLE invitation (
    ledger  SMALLINT NOT NULL,
    account UUID     NOT NULL,
    hash    BYTEA    NOT NULL CHECK (length(hash) = 32),
    expires BIGINT   NOT NULL,
    PRIMARY KEY (ledger, account),
    UNIQUE (ledger, hash)
);

CREATE TABLE session (
    ledger  SMALLINT NOT NULL,
    hash    BYTEA    NOT NULL CHECK (length(hash) = 32),
    account UUID     NOT NULL,
    seen    BIGINT   NOT NULL,
    expires BIGINT   NOT NULL,
    PRIMARY KEY (ledger, hash)
);
CREATE INDEX session_account ON session (ledger, account);

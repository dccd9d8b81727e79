-- Passkeys by which people log in to accounts of the service's own. One that was removed is `ended` until the record knows.
CREATE TABLE passkey (
    ledger     SMALLINT         NOT NULL,
    credential TEXT COLLATE "C" NOT NULL,
    account    UUID             NOT NULL,
    x          TEXT             NOT NULL,
    y          TEXT             NOT NULL,
    label      TEXT             NOT NULL,
    added      BIGINT           NOT NULL,
    ended      BOOLEAN          NOT NULL DEFAULT FALSE,
    PRIMARY KEY (ledger, credential)
);
CREATE INDEX passkey_account ON passkey (ledger, account);

-- When the holder of a session last showed who they are.
ALTER TABLE session ADD COLUMN confirmed BIGINT NOT NULL DEFAULT 0;

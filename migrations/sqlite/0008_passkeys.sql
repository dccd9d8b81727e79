-- Passkeys by which people log in to accounts of the service's own. One that was removed is `ended` until the record knows.
CREATE TABLE passkey (
    ledger     INTEGER NOT NULL,
    credential TEXT    NOT NULL,
    account    BLOB    NOT NULL CHECK (length(account) = 16),
    x          TEXT    NOT NULL,
    y          TEXT    NOT NULL,
    label      TEXT    NOT NULL,
    added      INTEGER NOT NULL,
    ended      INTEGER NOT NULL DEFAULT FALSE CHECK (ended IN (0, 1)),
    PRIMARY KEY (ledger, credential)
) STRICT, WITHOUT ROWID;
CREATE INDEX passkey_account ON passkey (ledger, account);

-- When the holder of a session last showed who they are.
ALTER TABLE session ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 0;

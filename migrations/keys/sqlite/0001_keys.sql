-- The key store: a database apart from the record's, so that no backup of the record has a data key in it. It may hold
-- the keys of several ledgers, each by its origin.

-- Data keys, wrapped by a master key that is not in here. One that was destroyed has no wrapped form any more; its row
-- stays, so that its scope never gets another.
CREATE TABLE data_key (
    ledger  TEXT NOT NULL,
    scope   TEXT NOT NULL,
    id      BLOB CHECK (length(id) = 16),
    master  TEXT,
    wrapped BLOB,
    PRIMARY KEY (ledger, scope),
    UNIQUE (ledger, id),
    CHECK ((master IS NULL) = (wrapped IS NULL)),
    CHECK (wrapped IS NULL OR id IS NOT NULL)
) STRICT;
CREATE INDEX data_key_master ON data_key (ledger, master);

-- The master key that wraps new data keys.
CREATE TABLE master_key (
    ledger TEXT NOT NULL PRIMARY KEY,
    id     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

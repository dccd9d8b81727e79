-- The key store: a database apart from the record's, so that no backup of the record has a data key in it. It may hold
-- the keys of several ledgers, each by its origin. Text is kept and ordered as bytes (COLLATE "C").

-- Data keys, wrapped by a master key that is not in here. One that was destroyed has no wrapped form any more; its row
-- stays, so that its scope never gets another.
CREATE TABLE data_key (
    ledger  TEXT COLLATE "C" NOT NULL,
    scope   TEXT COLLATE "C" NOT NULL,
    id      UUID,
    master  TEXT COLLATE "C",
    wrapped BYTEA,
    PRIMARY KEY (ledger, scope),
    UNIQUE (ledger, id),
    CHECK ((master IS NULL) = (wrapped IS NULL)),
    CHECK (wrapped IS NULL OR id IS NOT NULL)
);
CREATE INDEX data_key_master ON data_key (ledger, master);

-- The master key that wraps new data keys.
CREATE TABLE master_key (
    ledger TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    id     TEXT COLLATE "C" NOT NULL
);

-- Keys in whose place their scope was given another, so that a value that was redacted can be destroyed with the former one.
-- One that was destroyed has no wrapped form any more; its row stays, so that it is known from one that never was.
CREATE TABLE former_data_key (
    ledger  TEXT COLLATE "C" NOT NULL,
    id      UUID             NOT NULL,
    scope   TEXT COLLATE "C" NOT NULL,
    master  TEXT COLLATE "C",
    wrapped BYTEA,
    PRIMARY KEY (ledger, id),
    CHECK ((master IS NULL) = (wrapped IS NULL))
);
CREATE INDEX former_data_key_scope ON former_data_key (ledger, scope);

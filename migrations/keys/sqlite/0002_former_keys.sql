-- Keys in whose place their scope was given another, so that a value that was redacted can be destroyed with the former one.
-- One that was destroyed has no wrapped form any more; its row stays, so that it is known from one that never was.
CREATE TABLE former_data_key (
    ledger  TEXT NOT NULL,
    id      BLOB NOT NULL CHECK (length(id) = 16),
    scope   TEXT NOT NULL,
    master  TEXT,
    wrapped BLOB,
    PRIMARY KEY (ledger, id),
    CHECK ((master IS NULL) = (wrapped IS NULL))
) STRICT;
CREATE INDEX former_data_key_scope ON former_data_key (ledger, scope);

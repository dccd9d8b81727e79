-- What an authority outside says of a note (RFC 3161): of each size the first. `time` repeats what the reply says.
CREATE TABLE note_timestamp (
    ledger INTEGER NOT NULL,
    size   INTEGER NOT NULL CHECK (size > 0),
    time   INTEGER NOT NULL,
    reply  BLOB    NOT NULL,
    PRIMARY KEY (ledger, size)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER note_timestamp_update BEFORE UPDATE ON note_timestamp
    BEGIN SELECT RAISE(ABORT, 'table note_timestamp is append-only: UPDATE is refused'); END;
CREATE TRIGGER note_timestamp_delete BEFORE DELETE ON note_timestamp
    BEGIN SELECT RAISE(ABORT, 'table note_timestamp is append-only: DELETE is refused'); END;
CREATE TRIGGER note_timestamp_replace BEFORE INSERT ON note_timestamp
    WHEN EXISTS (SELECT 1 FROM note_timestamp WHERE ledger = NEW.ledger AND size = NEW.size)
    BEGIN SELECT RAISE(ABORT, 'table note_timestamp is append-only: a row of this key is there already'); END;

-- What an authority outside says of a note (RFC 3161): of each size the first. `time` repeats what the reply says.
CREATE TABLE note_timestamp (
    ledger SMALLINT NOT NULL,
    size   BIGINT   NOT NULL CHECK (size > 0),
    time   BIGINT   NOT NULL,
    reply  BYTEA    NOT NULL,
    PRIMARY KEY (ledger, size)
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON note_timestamp
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE note_timestamp ENABLE ALWAYS TRIGGER append_only;

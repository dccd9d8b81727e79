-- Bodies of events that were encrypted again, under the key that took the place of the one in the event's row, which is
-- destroyed. Beside the row and not in it: what was recorded never changes. Events of whom nothing was redacted have none.
CREATE TABLE resealed_body (
    of_ledger   SMALLINT NOT NULL,
    of_position BIGINT   NOT NULL,
    data_key    UUID     NOT NULL,
    sealed      BYTEA    NOT NULL,
    PRIMARY KEY (of_ledger, of_position)
);
-- Ciphertext does not compress.
ALTER TABLE resealed_body ALTER COLUMN sealed SET STORAGE EXTERNAL;

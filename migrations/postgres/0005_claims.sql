-- What a provider said last of somebody: when that was issued (seconds; 0 for nothing yet), and whether it gave no role. And
-- which of an account's sessions count: those of its epoch, which moves on where all of them end.
ALTER TABLE account
    ADD COLUMN issued    BIGINT  NOT NULL DEFAULT 0,
    ADD COLUMN withdrawn BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN epoch     BIGINT  NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;

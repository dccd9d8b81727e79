-- What a provider said last of somebody: when that was issued (seconds; 0 for nothing yet), and whether it gave no role. And
-- which of an account's sessions count: those of its epoch, which moves on where all of them end.
ALTER TABLE account ADD COLUMN issued    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN withdrawn INTEGER NOT NULL DEFAULT FALSE CHECK (withdrawn IN (0, 1));
ALTER TABLE account ADD COLUMN epoch     INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN epoch     INTEGER NOT NULL DEFAULT 0;

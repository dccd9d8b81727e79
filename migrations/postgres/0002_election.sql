-- Of several processes on one ledger, the one that appends and seals: whom the head row names. Its term runs out at
-- `held_until` by the clock of this server; until another process takes it, it stays with the holder all the same.
ALTER TABLE ledger
    ADD COLUMN holder UUID,
    ADD COLUMN held_until BIGINT,
    ADD CHECK ((holder IS NULL) = (held_until IS NULL));

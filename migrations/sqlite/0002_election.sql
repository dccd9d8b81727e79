-- Of several processes on one ledger, the one that appends and seals: whom the head row names. Its term runs out at
-- `held_until`; until another process takes it, it stays with the holder all the same.
ALTER TABLE ledger ADD COLUMN holder BLOB CHECK (length(holder) = 16);
ALTER TABLE ledger ADD COLUMN held_until INTEGER CHECK ((holder IS NULL) = (held_until IS NULL));

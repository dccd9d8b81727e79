-- Bodies of events that were encrypted again, under the key that took the place of the one in the event's row, which is
-- destroyed. Beside the row and not in it: what was recorded never changes. Events of whom nothing was redacted have none.
CREATE TABLE resealed_body (
    of_row   INTEGER NOT NULL PRIMARY KEY,
    data_key BLOB    NOT NULL CHECK (length(data_key) = 16),
    sealed   BLOB    NOT NULL
) STRICT;

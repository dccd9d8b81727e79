-- The same tables as PostgreSQL's, in SQLite's words. Short rows live in their key's tree (WITHOUT ROWID); rows with
-- long bytes do not. Times are microseconds since 1970-01-01T00:00:00Z; a UUID is 16 bytes.

-- The head of a ledger: the row that appends and seals take turns to move.
CREATE TABLE ledger (
    ledger    INTEGER NOT NULL PRIMARY KEY CHECK (ledger BETWEEN 1 AND 32767),
    origin    TEXT    NOT NULL UNIQUE,
    position  INTEGER NOT NULL DEFAULT 0 CHECK (position >= 0),
    time      INTEGER NOT NULL DEFAULT 0,
    seal      INTEGER CHECK (seal >= 0),
    seal_leaf BLOB    CHECK (length(seal_leaf) = 32),
    sealed    INTEGER NOT NULL DEFAULT 0 CHECK (sealed BETWEEN 0 AND position),
    CHECK ((seal IS NULL) = (seal_leaf IS NULL))
) STRICT;

CREATE TABLE trial (
    ledger INTEGER NOT NULL,
    trial  TEXT    NOT NULL,
    size   INTEGER NOT NULL CHECK (size > 0),
    PRIMARY KEY (ledger, trial)
) STRICT, WITHOUT ROWID;

CREATE TABLE stream (
    ledger  INTEGER NOT NULL,
    trial   TEXT    NOT NULL,
    stream  TEXT    NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    PRIMARY KEY (ledger, trial, stream)
) STRICT, WITHOUT ROWID;

-- `header` holds the bytes that were hashed into `leaf`; the columns before it are indexes derived from them. `row` is
-- ledger and position in one number, which takes the place of an index over both: rows lie in its order. A position has
-- 40 bits; no file has room for more events.
CREATE TABLE event (
    row       INTEGER NOT NULL PRIMARY KEY,
    ledger    INTEGER NOT NULL,
    position  INTEGER NOT NULL CHECK (position BETWEEN 0 AND 1099511627775),
    trial     TEXT    NOT NULL,
    trialseq  INTEGER NOT NULL CHECK (trialseq >= 0),
    stream    TEXT    NOT NULL,
    streamseq INTEGER NOT NULL CHECK (streamseq >= 0),
    leaf      BLOB    NOT NULL CHECK (length(leaf) = 32),
    header    BLOB    NOT NULL,
    key       BLOB    NOT NULL CHECK (length(key) = 16),
    body      BLOB    NOT NULL,
    UNIQUE (ledger, trial, trialseq),
    UNIQUE (ledger, trial, stream, streamseq)
) STRICT;

-- Commands that were carried out, so that sending one again gives the same answer.
CREATE TABLE command (
    ledger INTEGER NOT NULL,
    id     BLOB    NOT NULL CHECK (length(id) = 32),
    digest BLOB    NOT NULL CHECK (length(digest) = 32),
    trial  TEXT    NOT NULL,
    first  INTEGER NOT NULL CHECK (first >= 0),
    count  INTEGER NOT NULL CHECK (count >= 0),
    PRIMARY KEY (ledger, id)
) STRICT, WITHOUT ROWID;

-- Names from the outside world, as keyed hashes.
CREATE TABLE natural_key (
    ledger INTEGER NOT NULL,
    trial  TEXT    NOT NULL,
    key    BLOB    NOT NULL CHECK (length(key) = 32),
    stream TEXT    NOT NULL,
    PRIMARY KEY (ledger, trial, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE seal (
    ledger INTEGER NOT NULL,
    number INTEGER NOT NULL CHECK (number >= 0),
    entry  BLOB    NOT NULL,
    leaf   BLOB    NOT NULL CHECK (length(leaf) = 32),
    sealed INTEGER NOT NULL CHECK (sealed >= 0),
    time   INTEGER NOT NULL,
    PRIMARY KEY (ledger, number)
) STRICT, WITHOUT ROWID;

-- The head of a trial, one row for each seal in which it changed. The second key finds the first seal that covers an
-- event.
CREATE TABLE sealed_head (
    ledger INTEGER NOT NULL,
    trial  TEXT    NOT NULL,
    seal   INTEGER NOT NULL CHECK (seal >= 0),
    size   INTEGER NOT NULL CHECK (size > 0),
    root   BLOB    NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (ledger, trial, seal),
    UNIQUE (ledger, trial, size)
) STRICT, WITHOUT ROWID;

-- Roots of complete subtrees; `tree` is a trial, or empty for the public log.
CREATE TABLE tree_node (
    ledger INTEGER NOT NULL,
    tree   TEXT    NOT NULL,
    level  INTEGER NOT NULL CHECK (level > 0 AND level % 8 = 0),
    place  INTEGER NOT NULL CHECK (place >= 0),
    hash   BLOB    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (ledger, tree, level, place)
) STRICT, WITHOUT ROWID;

-- The one signed checkpoint of each size of the public log.
CREATE TABLE checkpoint (
    ledger INTEGER NOT NULL,
    size   INTEGER NOT NULL CHECK (size > 0),
    note   BLOB    NOT NULL,
    PRIMARY KEY (ledger, size)
) STRICT, WITHOUT ROWID;

-- Of each size, the first note that met the publication policy.
CREATE TABLE note (
    ledger INTEGER NOT NULL,
    size   INTEGER NOT NULL CHECK (size > 0),
    note   BLOB    NOT NULL,
    PRIMARY KEY (ledger, size)
) STRICT, WITHOUT ROWID;

-- Data keys, wrapped by a master key that is not in the database.
CREATE TABLE data_key (
    ledger  INTEGER NOT NULL,
    id      BLOB    NOT NULL CHECK (length(id) = 16),
    scope   TEXT    NOT NULL,
    master  TEXT    NOT NULL,
    wrapped BLOB    NOT NULL,
    PRIMARY KEY (ledger, id),
    UNIQUE (ledger, scope)
) STRICT, WITHOUT ROWID;

CREATE TABLE read_model (
    ledger     INTEGER NOT NULL,
    model      TEXT    NOT NULL,
    generation INTEGER NOT NULL CHECK (generation > 0),
    position   INTEGER NOT NULL CHECK (position >= 0),
    active     INTEGER NOT NULL CHECK (active IN (0, 1)),
    PRIMARY KEY (ledger, model, generation)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX read_model_active ON read_model (ledger, model) WHERE active;

CREATE TABLE read_model_doc (
    ledger     INTEGER NOT NULL,
    model      TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    trial      TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    key        BLOB    NOT NULL CHECK (length(key) = 16),
    body       BLOB    NOT NULL,
    PRIMARY KEY (ledger, model, generation, trial, id)
) STRICT;

-- Imports and exports under way.
CREATE TABLE job (
    ledger INTEGER NOT NULL,
    id     BLOB    NOT NULL CHECK (length(id) = 16),
    kind   TEXT    NOT NULL,
    trial  TEXT    NOT NULL,
    actor  TEXT    NOT NULL,
    ended  INTEGER NOT NULL CHECK (ended IN (0, 1)),
    detail BLOB    NOT NULL,
    PRIMARY KEY (ledger, id)
) STRICT;
CREATE INDEX job_open ON job (ledger, kind, id) WHERE NOT ended;

-- Bearer tokens. `trials`: ids parted by spaces; NULL reaches all trials.
CREATE TABLE token (
    ledger       INTEGER NOT NULL,
    hash         BLOB    NOT NULL CHECK (length(hash) = 32),
    actor        TEXT    NOT NULL,
    role         TEXT    NOT NULL,
    organisation TEXT    NOT NULL,
    source_system TEXT,
    trials       TEXT,
    revoked      INTEGER NOT NULL DEFAULT FALSE CHECK (revoked IN (0, 1)),
    PRIMARY KEY (ledger, hash)
) STRICT, WITHOUT ROWID;

-- What is recorded stays. INSERT OR REPLACE removes rows without asking a delete trigger unless the connection has
-- recursive_triggers switched on; a tool that someone else connects has not, hence the triggers before an insert. What
-- they read of a row is defined, except for NEW.row where nobody gave one: then it is refused, or SQLite chooses one that
-- no other row has.

CREATE TRIGGER event_update BEFORE UPDATE ON event
    BEGIN SELECT RAISE(ABORT, 'table event is append-only: UPDATE is refused'); END;
CREATE TRIGGER event_delete BEFORE DELETE ON event
    BEGIN SELECT RAISE(ABORT, 'table event is append-only: DELETE is refused'); END;
CREATE TRIGGER event_place BEFORE INSERT ON event
    WHEN NEW.row IS NOT ((NEW.ledger << 40) | NEW.position)
    BEGIN SELECT RAISE(ABORT, 'table event is append-only: this row is not where its ledger and position belong'); END;
CREATE TRIGGER event_replace BEFORE INSERT ON event
    WHEN EXISTS (SELECT 1 FROM event WHERE row = NEW.row)
        OR EXISTS (SELECT 1 FROM event WHERE ledger = NEW.ledger AND trial = NEW.trial AND trialseq = NEW.trialseq)
        OR EXISTS (SELECT 1 FROM event WHERE ledger = NEW.ledger AND trial = NEW.trial
            AND stream = NEW.stream AND streamseq = NEW.streamseq)
    BEGIN SELECT RAISE(ABORT, 'table event is append-only: a row of this key is there already'); END;

CREATE TRIGGER command_update BEFORE UPDATE ON command
    BEGIN SELECT RAISE(ABORT, 'table command is append-only: UPDATE is refused'); END;
CREATE TRIGGER command_delete BEFORE DELETE ON command
    BEGIN SELECT RAISE(ABORT, 'table command is append-only: DELETE is refused'); END;
CREATE TRIGGER command_replace BEFORE INSERT ON command
    WHEN EXISTS (SELECT 1 FROM command WHERE ledger = NEW.ledger AND id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'table command is append-only: a row of this key is there already'); END;

CREATE TRIGGER seal_update BEFORE UPDATE ON seal
    BEGIN SELECT RAISE(ABORT, 'table seal is append-only: UPDATE is refused'); END;
CREATE TRIGGER seal_delete BEFORE DELETE ON seal
    BEGIN SELECT RAISE(ABORT, 'table seal is append-only: DELETE is refused'); END;
CREATE TRIGGER seal_replace BEFORE INSERT ON seal
    WHEN EXISTS (SELECT 1 FROM seal WHERE ledger = NEW.ledger AND number = NEW.number)
    BEGIN SELECT RAISE(ABORT, 'table seal is append-only: a row of this key is there already'); END;

CREATE TRIGGER sealed_head_update BEFORE UPDATE ON sealed_head
    BEGIN SELECT RAISE(ABORT, 'table sealed_head is append-only: UPDATE is refused'); END;
CREATE TRIGGER sealed_head_delete BEFORE DELETE ON sealed_head
    BEGIN SELECT RAISE(ABORT, 'table sealed_head is append-only: DELETE is refused'); END;
CREATE TRIGGER sealed_head_replace BEFORE INSERT ON sealed_head
    WHEN EXISTS (SELECT 1 FROM sealed_head WHERE ledger = NEW.ledger AND trial = NEW.trial AND seal = NEW.seal)
        OR EXISTS (SELECT 1 FROM sealed_head WHERE ledger = NEW.ledger AND trial = NEW.trial AND size = NEW.size)
    BEGIN SELECT RAISE(ABORT, 'table sealed_head is append-only: a row of this key is there already'); END;

CREATE TRIGGER tree_node_update BEFORE UPDATE ON tree_node
    BEGIN SELECT RAISE(ABORT, 'table tree_node is append-only: UPDATE is refused'); END;
CREATE TRIGGER tree_node_delete BEFORE DELETE ON tree_node
    BEGIN SELECT RAISE(ABORT, 'table tree_node is append-only: DELETE is refused'); END;
CREATE TRIGGER tree_node_replace BEFORE INSERT ON tree_node
    WHEN EXISTS (SELECT 1 FROM tree_node WHERE ledger = NEW.ledger AND tree = NEW.tree
        AND level = NEW.level AND place = NEW.place)
    BEGIN SELECT RAISE(ABORT, 'table tree_node is append-only: a row of this key is there already'); END;

CREATE TRIGGER checkpoint_update BEFORE UPDATE ON checkpoint
    BEGIN SELECT RAISE(ABORT, 'table checkpoint is append-only: UPDATE is refused'); END;
CREATE TRIGGER checkpoint_delete BEFORE DELETE ON checkpoint
    BEGIN SELECT RAISE(ABORT, 'table checkpoint is append-only: DELETE is refused'); END;
CREATE TRIGGER checkpoint_replace BEFORE INSERT ON checkpoint
    WHEN EXISTS (SELECT 1 FROM checkpoint WHERE ledger = NEW.ledger AND size = NEW.size)
    BEGIN SELECT RAISE(ABORT, 'table checkpoint is append-only: a row of this key is there already'); END;

CREATE TRIGGER note_update BEFORE UPDATE ON note
    BEGIN SELECT RAISE(ABORT, 'table note is append-only: UPDATE is refused'); END;
CREATE TRIGGER note_delete BEFORE DELETE ON note
    BEGIN SELECT RAISE(ABORT, 'table note is append-only: DELETE is refused'); END;
CREATE TRIGGER note_replace BEFORE INSERT ON note
    WHEN EXISTS (SELECT 1 FROM note WHERE ledger = NEW.ledger AND size = NEW.size)
    BEGIN SELECT RAISE(ABORT, 'table note is append-only: a row of this key is there already'); END;

-- One database may hold several ledgers. `ledger` is part of every key, so that they can be moved apart.
-- Text is compared by its bytes everywhere (COLLATE "C"): the order of ids must not depend on a locale.
-- Times are microseconds since 1970-01-01T00:00:00Z. Where rows are updated, pages keep room for their next versions
-- (fillfactor), so that no index has to be touched.

-- The head of a ledger: the row that appends and seals take turns to lock.
CREATE TABLE ledger (
    ledger    SMALLINT         NOT NULL PRIMARY KEY,
    origin    TEXT COLLATE "C" NOT NULL UNIQUE,
    position  BIGINT           NOT NULL DEFAULT 0 CHECK (position >= 0),
    time      BIGINT           NOT NULL DEFAULT 0,
    seal      BIGINT           CHECK (seal >= 0),
    seal_leaf BYTEA            CHECK (length(seal_leaf) = 32),
    sealed    BIGINT           NOT NULL DEFAULT 0 CHECK (sealed BETWEEN 0 AND position),
    CHECK ((seal IS NULL) = (seal_leaf IS NULL))
) WITH (fillfactor = 70);

CREATE TABLE trial (
    ledger SMALLINT         NOT NULL,
    trial  TEXT COLLATE "C" NOT NULL,
    size   BIGINT           NOT NULL CHECK (size > 0),
    PRIMARY KEY (ledger, trial)
) WITH (fillfactor = 70);

CREATE TABLE stream (
    ledger  SMALLINT         NOT NULL,
    trial   TEXT COLLATE "C" NOT NULL,
    stream  TEXT COLLATE "C" NOT NULL,
    version BIGINT           NOT NULL CHECK (version > 0),
    PRIMARY KEY (ledger, trial, stream)
) WITH (fillfactor = 70);

-- `header` holds the bytes that were hashed into `leaf`; the columns before it are indexes derived from them.
CREATE TABLE event (
    ledger    SMALLINT         NOT NULL,
    position  BIGINT           NOT NULL CHECK (position >= 0),
    trial     TEXT COLLATE "C" NOT NULL,
    trialseq  BIGINT           NOT NULL CHECK (trialseq >= 0),
    stream    TEXT COLLATE "C" NOT NULL,
    streamseq BIGINT           NOT NULL CHECK (streamseq >= 0),
    leaf      BYTEA            NOT NULL CHECK (length(leaf) = 32),
    header    BYTEA            NOT NULL,
    key       UUID             NOT NULL,
    body      BYTEA            NOT NULL,
    PRIMARY KEY (ledger, position),
    UNIQUE (ledger, trial, trialseq),
    UNIQUE (ledger, trial, stream, streamseq)
);
-- Ciphertext does not compress.
ALTER TABLE event ALTER COLUMN body SET STORAGE EXTERNAL;

-- Commands that were carried out, so that sending one again gives the same answer.
CREATE TABLE command (
    ledger SMALLINT         NOT NULL,
    id     BYTEA            NOT NULL CHECK (length(id) = 32),
    digest BYTEA            NOT NULL CHECK (length(digest) = 32),
    trial  TEXT COLLATE "C" NOT NULL,
    first  BIGINT           NOT NULL CHECK (first >= 0),
    count  BIGINT           NOT NULL CHECK (count >= 0),
    PRIMARY KEY (ledger, id)
);

-- Names from the outside world, as keyed hashes.
CREATE TABLE natural_key (
    ledger SMALLINT         NOT NULL,
    trial  TEXT COLLATE "C" NOT NULL,
    key    BYTEA            NOT NULL CHECK (length(key) = 32),
    stream TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (ledger, trial, key)
);

CREATE TABLE seal (
    ledger SMALLINT NOT NULL,
    number BIGINT   NOT NULL CHECK (number >= 0),
    entry  BYTEA    NOT NULL,
    leaf   BYTEA    NOT NULL CHECK (length(leaf) = 32),
    sealed BIGINT   NOT NULL CHECK (sealed >= 0),
    time   BIGINT   NOT NULL,
    PRIMARY KEY (ledger, number)
);

-- The head of a trial, one row for each seal in which it changed. The second key finds the first seal that covers an
-- event.
CREATE TABLE sealed_head (
    ledger SMALLINT         NOT NULL,
    trial  TEXT COLLATE "C" NOT NULL,
    seal   BIGINT           NOT NULL CHECK (seal >= 0),
    size   BIGINT           NOT NULL CHECK (size > 0),
    root   BYTEA            NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (ledger, trial, seal),
    UNIQUE (ledger, trial, size)
);

-- Roots of complete subtrees; `tree` is a trial, or empty for the public log.
CREATE TABLE tree_node (
    ledger SMALLINT         NOT NULL,
    tree   TEXT COLLATE "C" NOT NULL,
    level  SMALLINT         NOT NULL CHECK (level > 0 AND level % 8 = 0),
    place  BIGINT           NOT NULL CHECK (place >= 0),
    hash   BYTEA            NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (ledger, tree, level, place)
);

-- The one signed checkpoint of each size of the public log.
CREATE TABLE checkpoint (
    ledger SMALLINT NOT NULL,
    size   BIGINT   NOT NULL CHECK (size > 0),
    note   BYTEA    NOT NULL,
    PRIMARY KEY (ledger, size)
);

-- Of each size, the first note that met the publication policy.
CREATE TABLE note (
    ledger SMALLINT NOT NULL,
    size   BIGINT   NOT NULL CHECK (size > 0),
    note   BYTEA    NOT NULL,
    PRIMARY KEY (ledger, size)
);

-- Data keys, wrapped by a master key that is not in the database.
CREATE TABLE data_key (
    ledger  SMALLINT         NOT NULL,
    id      UUID             NOT NULL,
    scope   TEXT COLLATE "C" NOT NULL,
    master  TEXT             NOT NULL,
    wrapped BYTEA            NOT NULL,
    PRIMARY KEY (ledger, id),
    UNIQUE (ledger, scope)
);

CREATE TABLE read_model (
    ledger     SMALLINT         NOT NULL,
    model      TEXT COLLATE "C" NOT NULL,
    generation BIGINT           NOT NULL CHECK (generation > 0),
    position   BIGINT           NOT NULL CHECK (position >= 0),
    active     BOOLEAN          NOT NULL,
    PRIMARY KEY (ledger, model, generation)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX read_model_active ON read_model (ledger, model) WHERE active;

CREATE TABLE read_model_doc (
    ledger     SMALLINT         NOT NULL,
    model      TEXT COLLATE "C" NOT NULL,
    generation BIGINT           NOT NULL,
    trial      TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    key        UUID             NOT NULL,
    body       BYTEA            NOT NULL,
    PRIMARY KEY (ledger, model, generation, trial, id)
);
ALTER TABLE read_model_doc ALTER COLUMN body SET STORAGE EXTERNAL;

-- Imports and exports under way.
CREATE TABLE job (
    ledger SMALLINT         NOT NULL,
    id     UUID             NOT NULL,
    kind   TEXT COLLATE "C" NOT NULL,
    trial  TEXT COLLATE "C" NOT NULL,
    actor  TEXT             NOT NULL,
    ended  BOOLEAN          NOT NULL,
    detail BYTEA            NOT NULL,
    PRIMARY KEY (ledger, id)
);
CREATE INDEX job_open ON job (ledger, kind, id) WHERE NOT ended;

-- Bearer tokens. `trials`: ids parted by spaces; NULL reaches all trials.
CREATE TABLE token (
    ledger       SMALLINT         NOT NULL,
    hash         BYTEA            NOT NULL CHECK (length(hash) = 32),
    actor        TEXT COLLATE "C" NOT NULL,
    role         TEXT             NOT NULL,
    organisation TEXT             NOT NULL,
    source_system TEXT,
    trials       TEXT COLLATE "C",
    revoked      BOOLEAN          NOT NULL DEFAULT FALSE,
    PRIMARY KEY (ledger, hash)
);

-- What is recorded stays. The triggers are per statement, so that TRUNCATE, and an UPDATE or DELETE that would meet no
-- row, is refused as well, and ALWAYS, so that session_replication_role does not switch them off.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE event ENABLE ALWAYS TRIGGER append_only;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON command
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE command ENABLE ALWAYS TRIGGER append_only;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON seal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE seal ENABLE ALWAYS TRIGGER append_only;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON sealed_head
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE sealed_head ENABLE ALWAYS TRIGGER append_only;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tree_node
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE tree_node ENABLE ALWAYS TRIGGER append_only;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE checkpoint ENABLE ALWAYS TRIGGER append_only;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON note
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE note ENABLE ALWAYS TRIGGER append_only;

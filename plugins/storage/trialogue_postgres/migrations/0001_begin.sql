-- The first schema. Once released, a file in this folder is never changed: its checksum is kept in every database.
--
-- Names and ids are compared byte by byte (COLLATE "C"), so that no index depends on the collations of a machine.

-- About this database: its identity, its generation, and where it was last seen.
CREATE TABLE store (
    key text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);

-- The row that every append updates, kept small for that reason: the fence, and where the log ends. ``n`` stands for the
-- conversation in the other tables, so that their keys are short. No index has a column that an append of deltas changes,
-- and pages have room: a new version of a row is written beside the old one, and no index learns of it.
CREATE TABLE log (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    node text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    next_seq bigint NOT NULL,
    flush bigint NOT NULL,
    floor bigint NOT NULL DEFAULT 0,
    unfinished boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX log_unfinished ON log (n) WHERE unfinished;

-- Not partitioned: what is pruned is chosen by conversation and type, never by time alone, so no partition would ever be
-- empty as a whole. Each conversation's deltas go in a transaction of their own, whose locks nobody waits for.
CREATE TABLE entry (
    conversation bigint NOT NULL,
    seq bigint NOT NULL,
    epoch bigint NOT NULL,
    type text COLLATE "C" NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (conversation, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);

-- What the actor keeps of itself, apart from ``log`` because it is large and changes seldom.
CREATE TABLE snapshot (
    conversation bigint PRIMARY KEY,
    seq bigint NOT NULL,
    state bytea NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE receipt (
    conversation bigint NOT NULL,
    command text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    receipt text NOT NULL,
    PRIMARY KEY (conversation, command)
);

-- ``body`` is the whole value as JSON (text, since jsonb cannot hold every string); the other columns repeat what is looked
-- for. ``unpruned`` says that there may be deltas to prune: each run's start and end writes the row and sets it again.
CREATE TABLE conversation (
    n bigint PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    owner text COLLATE "C" NOT NULL,
    updated timestamptz NOT NULL,
    archived boolean NOT NULL,
    pinned boolean NOT NULL,
    folder text COLLATE "C",
    trashed boolean NOT NULL,
    head text COLLATE "C",
    unpruned boolean NOT NULL DEFAULT true,
    title_words tsvector,
    body text NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX conversation_listed ON conversation (owner, archived, updated, id) WHERE NOT trashed;
CREATE INDEX conversation_recent ON conversation (owner, updated, id) WHERE NOT trashed;
CREATE INDEX conversation_pinned ON conversation (owner, updated, id) WHERE NOT trashed AND pinned;
CREATE INDEX conversation_folder ON conversation (owner, folder, updated, id) WHERE NOT trashed AND folder IS NOT NULL;
CREATE INDEX conversation_trashed ON conversation (owner, updated, id) WHERE trashed;
CREATE INDEX conversation_trash ON conversation (updated) WHERE trashed;
CREATE INDEX conversation_unpruned ON conversation (updated) WHERE unpruned;
CREATE INDEX conversation_title ON conversation USING gin (title_words) WHERE title_words IS NOT NULL;

-- ``n`` grows with each new message: the order in which they were first said. ``parent`` is '' at a root, which an index can
-- look up. A removed one stays as a stone, without its body, so that nothing that is written later brings it back.
CREATE TABLE message (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    conversation bigint NOT NULL,
    parent text COLLATE "C" NOT NULL,
    removed boolean NOT NULL DEFAULT false,
    body text NOT NULL,
    words tsvector
);
CREATE INDEX message_order ON message (conversation, n);
CREATE INDEX message_children ON message (conversation, parent, n) WHERE NOT removed;
CREATE INDEX message_words ON message USING gin (words) WHERE words IS NOT NULL;

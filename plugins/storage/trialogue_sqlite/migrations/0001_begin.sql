-- The first schema. Once released, a file in this folder is never changed: its checksum is kept in every database.

-- About this database: its identity, its generation, and how often it was opened.
CREATE TABLE store (
    key TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;

-- The row that every append updates, kept small for that reason: the fence, and where the log ends. ``n`` stands for the
-- conversation in the other tables, so that their keys are short.
CREATE TABLE log (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    node TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    next_seq INTEGER NOT NULL,
    flush INTEGER NOT NULL,
    floor INTEGER NOT NULL DEFAULT 0,
    unfinished INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX log_unfinished ON log (unfinished) WHERE unfinished = 1;

CREATE TABLE entry (
    conversation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    type TEXT NOT NULL,
    data NOT NULL,
    PRIMARY KEY (conversation, seq)
) WITHOUT ROWID;

-- What the actor keeps of itself, apart from ``log`` because it is large and changes seldom.
CREATE TABLE snapshot (
    conversation INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    state BLOB NOT NULL
);

CREATE TABLE receipt (
    conversation INTEGER NOT NULL,
    command TEXT NOT NULL,
    digest BLOB NOT NULL,
    receipt TEXT NOT NULL,
    PRIMARY KEY (conversation, command)
) WITHOUT ROWID;

-- ``body`` is the whole value as JSON; the other columns repeat what is looked for.
CREATE TABLE conversation (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    updated INTEGER NOT NULL,
    archived INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    folder TEXT,
    trashed INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX conversation_listed ON conversation (owner, archived, updated, id) WHERE trashed = 0;
CREATE INDEX conversation_recent ON conversation (owner, updated, id) WHERE trashed = 0;
CREATE INDEX conversation_pinned ON conversation (owner, updated, id) WHERE trashed = 0 AND pinned = 1;
CREATE INDEX conversation_folder ON conversation (owner, folder, updated, id) WHERE trashed = 0 AND folder IS NOT NULL;
CREATE INDEX conversation_updated ON conversation (updated);

-- ``n`` grows with each new message: the order in which they were first said. A removed one stays as a stone, without its
-- body, so that nothing that is written later brings it back.
CREATE TABLE message (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    conversation INTEGER NOT NULL,
    parent TEXT,
    removed INTEGER NOT NULL DEFAULT 0,
    body TEXT NOT NULL
);
CREATE INDEX message_children ON message (conversation, parent, removed, n);

-- Full text, row by row as in ``message`` and ``conversation``. The owner is a word of its own column, so that a search
-- meets only the rows of one owner, and counts for nothing in the ranking. The texts themselves are not kept twice.
CREATE VIRTUAL TABLE message_text USING fts5(
    owner, text, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2"
);
INSERT INTO message_text (message_text, rank) VALUES ('rank', 'bm25(0.0, 1.0)');
CREATE VIRTUAL TABLE title_text USING fts5(
    owner, text, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2"
);

CREATE TABLE account (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    secret TEXT NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE session (
    id TEXT PRIMARY KEY,
    token BLOB NOT NULL UNIQUE,
    account TEXT NOT NULL,
    expires INTEGER NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX session_expires ON session (expires);

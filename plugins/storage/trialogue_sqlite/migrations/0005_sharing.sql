-- The trash as a list, and by age; rows that are not in it cost these nothing.
CREATE INDEX conversation_trashed ON conversation (owner, updated, id) WHERE trashed = 1;
CREATE INDEX conversation_ripe ON conversation (updated) WHERE trashed = 1;

-- Public links. The token is kept as it is: its owner is shown it again, and it opens nothing that is not in this file.
CREATE TABLE share (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    token TEXT NOT NULL UNIQUE,
    conversation INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX share_listed ON share (conversation, n);

-- Uploads that are being taken in, or were. ``open`` is what a start looks for.
CREATE TABLE import_job (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    open INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX import_listed ON import_job (owner, n);
CREATE INDEX import_open ON import_job (n) WHERE open = 1;

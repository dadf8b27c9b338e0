-- Uploaded files. ``body`` is the whole value as JSON; the other columns repeat what is looked for (``folded`` is the name
-- without its case). Numbers are never used
-- again: what is kept elsewhere under one is then never taken for another file's.
CREATE TABLE file (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    size INTEGER NOT NULL,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    media_type TEXT NOT NULL,
    created INTEGER NOT NULL,
    lat REAL,
    lon REAL,
    taken INTEGER,
    state TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX file_listed ON file (owner, created, id);
CREATE INDEX file_pending ON file (n) WHERE state = 'pending';
CREATE INDEX file_placed ON file (owner, lat, lon) WHERE lat IS NOT NULL;

-- What was read out of a file, bounded, and its words, as those of messages are kept.
CREATE TABLE file_body (
    n INTEGER PRIMARY KEY,
    text TEXT NOT NULL
);
CREATE VIRTUAL TABLE file_text USING fts5(
    owner, text, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2"
);
INSERT INTO file_text (file_text, rank) VALUES ('rank', 'bm25(0.0, 1.0)');

-- Which messages name which files, by their numbers.
CREATE TABLE message_file (
    message INTEGER NOT NULL,
    file INTEGER NOT NULL,
    PRIMARY KEY (message, file)
) WITHOUT ROWID;
CREATE INDEX message_file_file ON message_file (file);

-- Content in the folder for files: who names it, and of what nobody names, until when it is kept and whether it is being
-- removed. A row stands from before the content gets its name until after it is gone.
CREATE TABLE blob (
    sha256 BLOB PRIMARY KEY,
    loose INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    doomed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX blob_loose ON blob (kept) WHERE loose = 1;
CREATE TABLE blob_name (
    file INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    PRIMARY KEY (file, sha256)
) WITHOUT ROWID;
CREATE INDEX blob_name_sha256 ON blob_name (sha256);

-- What each owner's files take, and what uploads under way have set aside.
CREATE TABLE space (
    owner TEXT PRIMARY KEY,
    files INTEGER NOT NULL,
    used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE upload (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    size INTEGER NOT NULL,
    expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX upload_owner ON upload (owner);
CREATE INDEX upload_expires ON upload (expires);

CREATE TRIGGER file_added AFTER INSERT ON file BEGIN
    INSERT INTO space VALUES (new.owner, 1, new.size)
        ON CONFLICT DO UPDATE SET files = files + 1, used = used + new.size;
END;
-- However a file goes, all that hangs on it goes with it.
CREATE TRIGGER file_removed AFTER DELETE ON file BEGIN
    UPDATE space SET files = files - 1, used = used - old.size WHERE owner = old.owner;
    DELETE FROM message_file WHERE file = old.n;
    DELETE FROM file_text WHERE rowid = old.n;
    DELETE FROM file_body WHERE n = old.n;
    DELETE FROM blob_name WHERE file = old.n;
END;
CREATE TRIGGER blob_unnamed AFTER DELETE ON blob_name BEGIN
    UPDATE blob SET loose = 1 WHERE sha256 = old.sha256
        AND NOT EXISTS (SELECT 1 FROM blob_name b WHERE b.sha256 = old.sha256);
END;
CREATE TRIGGER blob_named AFTER INSERT ON blob_name BEGIN
    UPDATE blob SET loose = 0 WHERE sha256 = new.sha256;
END;

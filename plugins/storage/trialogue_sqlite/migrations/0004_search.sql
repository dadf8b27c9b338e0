-- What searches need besides full text, whose tables are in the first schema.

-- Where messages were said, for those that say it. The owner goes first, so that a search meets only their own.
CREATE TABLE message_place (
    n INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    lat REAL NOT NULL,
    lon REAL NOT NULL
);
CREATE INDEX message_place_near ON message_place (owner, lat, lon);

-- Passages of texts and their vectors, rounded to bytes. ``source`` is the ``n`` of a message (kind 0) or a file (kind 1).
CREATE TABLE passage (
    n INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    source INTEGER NOT NULL,
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    vector BLOB NOT NULL
);
CREATE INDEX passage_source ON passage (kind, source);

-- The signs of the same vectors, a bit each: what a search reads of all passages of an owner, to look closer at a few.
CREATE TABLE passage_sign (
    owner TEXT NOT NULL,
    n INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    source INTEGER NOT NULL,
    signs BLOB NOT NULL,
    PRIMARY KEY (owner, n)
) WITHOUT ROWID;

-- Whose vectors these are. Messages up to number ``through`` have been looked at.
CREATE TABLE embedder (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    name TEXT NOT NULL,
    dimensions INTEGER NOT NULL,
    through INTEGER NOT NULL
);

-- What must be looked at (again): messages that were looked at before they said what they say, and files.
CREATE TABLE unembedded (
    kind INTEGER NOT NULL,
    source INTEGER NOT NULL,
    PRIMARY KEY (kind, source)
) WITHOUT ROWID;

-- What goes takes its place and its vectors with it, however it goes. A message that is removed stays as a stone.
CREATE TRIGGER passage_gone AFTER DELETE ON passage_sign BEGIN
    DELETE FROM passage WHERE n = old.n;
END;
CREATE TRIGGER message_removed AFTER UPDATE OF removed ON message WHEN new.removed = 1 BEGIN
    DELETE FROM message_place WHERE n = old.n;
    DELETE FROM passage_sign WHERE n IN (SELECT n FROM passage WHERE kind = 0 AND source = old.n)
        AND owner = (SELECT owner FROM conversation WHERE n = old.conversation);
END;
CREATE TRIGGER message_purged BEFORE DELETE ON message BEGIN
    DELETE FROM message_place WHERE n = old.n;
    DELETE FROM passage_sign WHERE n IN (SELECT n FROM passage WHERE kind = 0 AND source = old.n)
        AND owner = (SELECT owner FROM conversation WHERE n = old.conversation);
    DELETE FROM unembedded WHERE kind = 0 AND source = old.n;
END;
-- Numbers of messages at the end may be used again: those that get them are to be looked at.
CREATE TRIGGER message_number_free AFTER DELETE ON message BEGIN
    UPDATE embedder SET through = (SELECT coalesce(max(n), 0) FROM message)
        WHERE through > (SELECT coalesce(max(n), 0) FROM message);
END;
CREATE TRIGGER message_said AFTER UPDATE OF body ON message
    WHEN new.removed = 0 AND new.n <= (SELECT through FROM embedder) BEGIN
    INSERT OR IGNORE INTO unembedded VALUES (0, new.n);
END;
CREATE TRIGGER file_read AFTER INSERT ON file_body BEGIN
    INSERT OR IGNORE INTO unembedded VALUES (1, new.n);
END;
CREATE TRIGGER file_gone BEFORE DELETE ON file BEGIN
    DELETE FROM passage_sign WHERE n IN (SELECT n FROM passage WHERE kind = 1 AND source = old.n) AND owner = old.owner;
    DELETE FROM unembedded WHERE kind = 1 AND source = old.n;
END;

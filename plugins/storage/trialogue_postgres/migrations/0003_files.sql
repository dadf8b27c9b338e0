-- Uploaded files. ``body`` is the whole value as JSON; the other columns repeat what is looked for (``folded`` is the name
-- without its case). Numbers are never used again: what is kept elsewhere under one is never taken for another file's.
CREATE TABLE file (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    owner text COLLATE "C" NOT NULL,
    size bigint NOT NULL,
    folded text COLLATE "C" NOT NULL,
    media_type text COLLATE "C" NOT NULL,
    created timestamptz NOT NULL,
    lat double precision,
    lon double precision,
    pending boolean NOT NULL,
    body text NOT NULL
);
CREATE INDEX file_listed ON file (owner, created, id);
CREATE INDEX file_pending ON file (n) WHERE pending;
CREATE INDEX file_placed ON file (owner, lat, lon) WHERE lat IS NOT NULL;

-- What was read out of a file, bounded, and its words, as those of messages are kept.
CREATE TABLE file_body (
    n bigint PRIMARY KEY,
    text text NOT NULL,
    words tsvector
);
CREATE INDEX file_body_words ON file_body USING gin (words) WHERE words IS NOT NULL;

-- Which messages name which files, by their numbers.
CREATE TABLE message_file (
    message bigint NOT NULL,
    file bigint NOT NULL,
    PRIMARY KEY (message, file)
);
CREATE INDEX message_file_file ON message_file (file);

-- Content in the folder for files: how many rows of ``blob_name`` name it, and of what nobody names, until when it is kept and
-- whether it is being removed. A row stands from before the content gets its name until after it is gone.
CREATE TABLE blob (
    sha256 bytea PRIMARY KEY,
    names bigint NOT NULL DEFAULT 0,
    kept timestamptz NOT NULL,
    doomed boolean NOT NULL DEFAULT false
);
CREATE INDEX blob_loose ON blob (kept) WHERE names = 0;
CREATE TABLE blob_name (
    file bigint NOT NULL,
    sha256 bytea NOT NULL,
    PRIMARY KEY (file, sha256)
);

-- What each owner's files take, and what uploads under way have set aside. Who sets aside, or adds, locks the owner's row.
CREATE TABLE space (
    owner text COLLATE "C" PRIMARY KEY,
    files bigint NOT NULL,
    used bigint NOT NULL
);
CREATE TABLE upload (
    id text COLLATE "C" PRIMARY KEY,
    owner text COLLATE "C" NOT NULL,
    size bigint NOT NULL,
    expires timestamptz NOT NULL
);
CREATE INDEX upload_owner ON upload (owner);
CREATE INDEX upload_expires ON upload (expires);

CREATE FUNCTION file_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO space SELECT owner, count(*), sum(size) FROM added GROUP BY owner ORDER BY owner
        ON CONFLICT (owner) DO UPDATE SET files = space.files + excluded.files, used = space.used + excluded.used;
    RETURN NULL;
END
$$;
CREATE TRIGGER file_added AFTER INSERT ON file REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION file_added();

-- However a file goes, all that hangs on it goes with it.
CREATE FUNCTION file_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE space SET files = space.files - g.files, used = space.used - g.used
        FROM (SELECT owner, count(*) AS files, sum(size) AS used FROM removed GROUP BY owner) AS g
        WHERE space.owner = g.owner;
    DELETE FROM message_file WHERE file IN (SELECT n FROM removed);
    DELETE FROM file_body WHERE n IN (SELECT n FROM removed);
    DELETE FROM blob_name WHERE file IN (SELECT n FROM removed);
    RETURN NULL;
END
$$;
CREATE TRIGGER file_removed AFTER DELETE ON file REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION file_removed();

-- Counted, so that of two who take the last two names away at the same time one sees that none is left.
CREATE FUNCTION blob_named() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE blob SET names = blob.names + g.names
        FROM (SELECT sha256, count(*) AS names FROM added GROUP BY sha256) AS g WHERE blob.sha256 = g.sha256;
    RETURN NULL;
END
$$;
CREATE TRIGGER blob_named AFTER INSERT ON blob_name REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION blob_named();
CREATE FUNCTION blob_unnamed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE blob SET names = blob.names - g.names
        FROM (SELECT sha256, count(*) AS names FROM removed GROUP BY sha256) AS g WHERE blob.sha256 = g.sha256;
    RETURN NULL;
END
$$;
CREATE TRIGGER blob_unnamed AFTER DELETE ON blob_name REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION blob_unnamed();

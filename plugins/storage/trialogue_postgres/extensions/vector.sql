-- What needs the extension ``vector``, made when it is there, and not numbered for that reason: it may come at any time. Each
-- statement may be given again.

-- Passages of texts and their vectors, which stand in the row as long as they fit. ``source`` is the ``n`` of a message (kind 0) or a file (kind 1). The owner goes
-- first, since a search compares all passages of one owner, exactly: an index of everybody's would look at what is near of
-- other people, and miss what is one's own.
CREATE TABLE IF NOT EXISTS passage (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner text COLLATE "C" NOT NULL,
    kind smallint NOT NULL,
    source bigint NOT NULL,
    start integer NOT NULL,
    vector halfvec STORAGE main NOT NULL
);
CREATE INDEX IF NOT EXISTS passage_owned ON passage (owner, kind);
CREATE INDEX IF NOT EXISTS passage_source ON passage (kind, source);

-- Texts that wait for their vectors, or wait again. ``stamp`` grows with each change of the text, so that vectors of what it
-- said before do not take the mark away.
CREATE SEQUENCE IF NOT EXISTS unembedded_stamp;
CREATE TABLE IF NOT EXISTS unembedded (
    kind smallint NOT NULL,
    source bigint NOT NULL,
    owner text COLLATE "C" NOT NULL,
    stamp bigint NOT NULL DEFAULT nextval('unembedded_stamp'),
    PRIMARY KEY (kind, source)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX IF NOT EXISTS unembedded_owned ON unembedded (owner);

-- What is said is marked in the transaction that says it, so that nothing is missed whoever commits first; and what goes
-- takes its vectors with it, however it goes. A message that is removed stays as a stone, without words.
CREATE OR REPLACE FUNCTION message_said() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.words IS NULL THEN
        DELETE FROM passage WHERE kind = 0 AND source = NEW.n;
        DELETE FROM unembedded WHERE kind = 0 AND source = NEW.n;
    ELSIF NEW.words IS NOT NULL THEN
        INSERT INTO unembedded (kind, source, owner) VALUES (0, NEW.n, NEW.owner)
            ON CONFLICT (kind, source) DO UPDATE SET stamp = excluded.stamp;
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER message_said AFTER INSERT ON message
    FOR EACH ROW WHEN (NEW.words IS NOT NULL) EXECUTE FUNCTION message_said();
CREATE OR REPLACE TRIGGER message_revised AFTER UPDATE ON message
    FOR EACH ROW WHEN (OLD.body <> NEW.body AND (NEW.words IS NOT NULL OR OLD.words IS NOT NULL)) EXECUTE FUNCTION message_said();

CREATE OR REPLACE FUNCTION message_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM passage WHERE kind = 0 AND source IN (SELECT n FROM removed);
    DELETE FROM unembedded WHERE kind = 0 AND source IN (SELECT n FROM removed);
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER message_gone AFTER DELETE ON message REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION message_gone();

CREATE OR REPLACE FUNCTION file_said() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unembedded (kind, source, owner) SELECT 1, n, owner FROM file WHERE n = NEW.n
        ON CONFLICT (kind, source) DO UPDATE SET stamp = excluded.stamp;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER file_said AFTER INSERT OR UPDATE ON file_body
    FOR EACH ROW WHEN (NEW.words IS NOT NULL) EXECUTE FUNCTION file_said();

CREATE OR REPLACE FUNCTION file_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM passage WHERE kind = 1 AND source IN (SELECT n FROM removed);
    DELETE FROM unembedded WHERE kind = 1 AND source IN (SELECT n FROM removed);
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER file_gone AFTER DELETE ON file REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION file_gone();

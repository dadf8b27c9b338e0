-- Public links. The token is kept as it is: its owner is shown it again, and it opens nothing that is not in this database.
CREATE TABLE share (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    token text COLLATE "C" NOT NULL UNIQUE,
    conversation bigint NOT NULL,
    body text NOT NULL
);
CREATE INDEX share_listed ON share (conversation, n);

-- Uploads that are being taken in, or were. ``open`` is what a start looks for.
CREATE TABLE import_job (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    owner text COLLATE "C" NOT NULL,
    open boolean NOT NULL,
    cancelled boolean NOT NULL,
    body text NOT NULL
);
CREATE INDEX import_listed ON import_job (owner, n);
CREATE INDEX import_over ON import_job (owner, n) WHERE NOT open;
CREATE INDEX import_open ON import_job (n) WHERE open;

-- The nodes over this database. A lease is counted by this server's clock; it says who is taken to be alive, and no more.
CREATE TABLE node (
    id text COLLATE "C" PRIMARY KEY,
    lease_until timestamptz NOT NULL,
    body text NOT NULL,
    load text NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 200);

-- Commands that could not be handed to the owner of their conversation: until it, or the next one, finds them here.
CREATE TABLE kept_command (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation bigint NOT NULL,
    command text COLLATE "C" NOT NULL,
    body bytea NOT NULL,
    outcome bytea,
    kept_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (conversation, command)
);
CREATE INDEX kept_command_waiting ON kept_command (n) WHERE outcome IS NULL;
CREATE INDEX kept_command_over ON kept_command (kept_at) WHERE outcome IS NOT NULL;

-- What searches need besides the words of messages and titles, which are in the first schema: what is known about a message.
-- All of it is written with the message; one that only waits for its turn has none of it yet.
ALTER TABLE message
    ADD COLUMN owner text COLLATE "C",
    ADD COLUMN role text COLLATE "C",
    ADD COLUMN model text COLLATE "C",
    ADD COLUMN created timestamptz,
    ADD COLUMN lat double precision,
    ADD COLUMN lon double precision;
-- The newest first, for a word that stands in many of them; for a rare one there is ``message_words``.
CREATE INDEX message_owned ON message (owner, n) WHERE words IS NOT NULL;
CREATE INDEX message_placed ON message (owner, lat, lon) WHERE lat IS NOT NULL;

-- Whose vectors are kept; '' while those of another one are being forgotten.
CREATE TABLE embedder (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    name text NOT NULL,
    dimensions bigint NOT NULL
);

-- Who did what, and who read what of citizens and for what purpose. Nothing changes a row; rows are taken out at the
-- bottom when their time is over. `hash` is the SHA-256 over the hash of the row before and everything of this one, so that
-- no row can be edited, taken out or put in unnoticed; a checkpoint signs the hash of its row.
--
-- The only row of audit_head names the last row. It is locked by whoever appends until the commit, before the feed's
-- counter, so that there is one chain whatever number of nodes append.

CREATE TABLE audit (
    seq     BIGINT PRIMARY KEY,          -- 1, 2, 3…: no gap
    at      BIGINT NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,               -- read, listened, listed, patched, replied, created, revoked…
    object  TEXT NOT NULL,               -- kind/id, or kind? and the query of a list
    detail  TEXT NOT NULL,               -- JSON: ids, codes and counts, no personal data
    purpose TEXT,
    hash    TEXT NOT NULL                -- hexadecimal
);
CREATE INDEX audit_by_actor ON audit (actor, seq);
CREATE INDEX audit_by_object ON audit (object, seq);

CREATE TABLE audit_checkpoint (
    seq       BIGINT PRIMARY KEY,        -- of the last row that it covers
    hash      TEXT NOT NULL,             -- of that row
    key_id    TEXT NOT NULL,
    signature TEXT NOT NULL,             -- Ed25519 over seq, hash and at; base64
    at        BIGINT NOT NULL
);

CREATE TABLE audit_head (
    id   BIGINT PRIMARY KEY CHECK (id = 1),
    seq  BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

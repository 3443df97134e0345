-- As for PostgreSQL.

ALTER TABLE request ADD COLUMN merged_into TEXT;

CREATE TABLE request_link (
    request_id TEXT NOT NULL REFERENCES request (id),
    other_id   TEXT NOT NULL REFERENCES request (id),
    kind       TEXT NOT NULL,            -- continues, mentions
    at         BIGINT NOT NULL,
    PRIMARY KEY (request_id, other_id)
) WITHOUT ROWID;
CREATE INDEX request_link_back ON request_link (other_id);

CREATE TABLE participant (
    request_id TEXT NOT NULL REFERENCES request (id),
    match_key  TEXT NOT NULL,
    PRIMARY KEY (request_id, match_key)
) WITHOUT ROWID;

CREATE TABLE secret (
    name       TEXT PRIMARY KEY,
    value      TEXT NOT NULL,
    created_at BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE undeliverable (
    id        TEXT PRIMARY KEY,
    match_key TEXT NOT NULL UNIQUE,
    reason    TEXT NOT NULL,
    at        BIGINT NOT NULL
);

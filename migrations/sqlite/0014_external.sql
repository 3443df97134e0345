-- As for PostgreSQL.
CREATE TABLE external_reference (
    id           TEXT PRIMARY KEY,
    request_id   TEXT NOT NULL REFERENCES request (id),
    system       TEXT NOT NULL,
    external_id  TEXT NOT NULL,
    external_key TEXT NOT NULL,
    status       TEXT,
    updated_at   BIGINT NOT NULL,
    UNIQUE (system, external_key),
    UNIQUE (request_id, system)
);

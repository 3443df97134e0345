-- Who writes to the town, and the addresses by which they are found again: exactly, on match_key, never by likeness.
CREATE TABLE citizen (
    id             TEXT PRIMARY KEY,
    position       BIGINT NOT NULL UNIQUE,
    kind           TEXT NOT NULL,        -- person, organisation
    given_name     TEXT,
    family_name    TEXT,
    organisation   TEXT,
    language       TEXT,                 -- BCP 47
    needs          TEXT,                 -- what makes us accessible to them
    note           TEXT,
    identity_level BIGINT NOT NULL,      -- 0 said so, 1 an address was verified, 2 a paper was seen, 3 an identity provider
    status         TEXT NOT NULL,        -- active, merged, restricted, anonymised
    merged_into    TEXT,                 -- of one that was merged; its contact points, requests and history stay its own
    origin_key     TEXT UNIQUE,          -- who made it under which Idempotency-Key
    version        BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL
);
CREATE INDEX citizen_by_status ON citizen (status, position);
CREATE INDEX citizen_merged ON citizen (merged_into) WHERE merged_into IS NOT NULL;

-- Never taken out, but for anonymisation: one that is removed says when it was somebody's.
CREATE TABLE contact_point (
    id           TEXT PRIMARY KEY,
    citizen_id   TEXT NOT NULL REFERENCES citizen (id),
    kind         TEXT NOT NULL,          -- phone, email, postal, other
    raw          TEXT NOT NULL,          -- as it was written
    normalised   TEXT NOT NULL,
    match_key    TEXT NOT NULL,
    label        TEXT,
    verified_at  BIGINT,
    verified_how TEXT,
    created_at   BIGINT NOT NULL,
    removed_at   BIGINT
);
-- A family shares a phone: an address is unique within its citizen, not among all.
CREATE UNIQUE INDEX contact_point_match ON contact_point (match_key, citizen_id) WHERE removed_at IS NULL;
CREATE INDEX contact_point_of ON contact_point (citizen_id, id);

-- Who wants no campaigns by which channel. Of an address, not of a citizen: a STOP from an unknown number counts. A row is
-- one opt-out from its beginning to its end.
CREATE TABLE opt_out (
    id         TEXT PRIMARY KEY,
    position   BIGINT NOT NULL UNIQUE,
    match_key  TEXT NOT NULL,
    channel    TEXT NOT NULL,            -- sms, email
    address    TEXT NOT NULL,            -- normalised
    at         BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    how        TEXT,
    cleared_at BIGINT,
    cleared_by TEXT
);
CREATE UNIQUE INDEX opt_out_in_force ON opt_out (match_key, channel) WHERE cleared_at IS NULL;

-- Who changed what of a citizen.
CREATE TABLE citizen_change (
    id         TEXT NOT NULL,
    citizen_id TEXT NOT NULL REFERENCES citizen (id),
    at         BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,            -- created, changed, contact_point_added, …
    detail     TEXT NOT NULL,            -- JSON: what changed, from what to what
    PRIMARY KEY (citizen_id, id)
);

-- Domains, services, themes. What no statement looks into stands in `detail`, as JSON.
--
-- The counter 'catalogue' is the version of the whole: it is locked before anything is changed, so that changes happen
-- one after another, and an entry's version is the counter's value at its last change.

CREATE TABLE catalogue (
    kind    TEXT NOT NULL,               -- domain, service, theme
    code    TEXT NOT NULL,
    parent  TEXT,                        -- a service's domain, a theme's service
    place   BIGINT NOT NULL,             -- the order in which they are shown
    version BIGINT NOT NULL,
    detail  TEXT NOT NULL,
    PRIMARY KEY (kind, code)
);

-- Who changed what, and what it became. Nothing is ever taken out of it.
CREATE TABLE catalogue_change (
    id      TEXT PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT NOT NULL,
    kind    TEXT NOT NULL,
    code    TEXT NOT NULL,
    version BIGINT NOT NULL,
    detail  TEXT NOT NULL
);
CREATE INDEX catalogue_change_of ON catalogue_change (kind, code, version);

INSERT INTO counter (name, value) VALUES ('catalogue', 0);

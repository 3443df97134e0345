-- How long a request was in the state that it left: what statistics add up was counted once, by the calendar of that day.
CREATE TABLE transition (
    request_id  TEXT NOT NULL REFERENCES request (id),
    version     BIGINT NOT NULL,         -- of the request, after the move
    at          BIGINT NOT NULL,
    from_status TEXT NOT NULL,
    to_status   TEXT NOT NULL,
    elapsed_ms  BIGINT NOT NULL,         -- by the clock
    working_ms  BIGINT NOT NULL,         -- by the hours of the theme's service
    PRIMARY KEY (request_id, version)
);

-- As for PostgreSQL.

ALTER TABLE event ADD COLUMN channel TEXT;
ALTER TABLE event ADD COLUMN theme TEXT;
ALTER TABLE event ADD COLUMN theme_from TEXT;
UPDATE event SET channel = (SELECT r.channel FROM request r WHERE r.id = event.subject),
                 theme = (SELECT r.theme FROM request r WHERE r.id = event.subject);
UPDATE event SET theme = subject WHERE type = 'theme.changed';

CREATE TABLE feed (
    one   BIGINT PRIMARY KEY CHECK (one = 1),
    epoch TEXT NOT NULL,
    floor BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO feed (one, epoch, floor) VALUES (1, lower(hex(randomblob(4))), 0);

-- What a reader is shown of an event is told by the event alone: of which channel and theme its request was when it happened, and
-- which theme it had before, where that changed. So two readers of the same pages see the same, whenever they read.
-- channel is NULL for events of no request; theme_from is NULL where the theme did not change, and '' where there was none.
ALTER TABLE event ADD COLUMN channel TEXT, ADD COLUMN theme TEXT, ADD COLUMN theme_from TEXT;
UPDATE event SET channel = r.channel, theme = r.theme FROM request r WHERE r.id = event.subject;
UPDATE event SET theme = subject WHERE type = 'theme.changed';

-- The one row: what every cursor names, so that one from before a restored backup is known, and the position up to which events
-- were removed because their time was over.
CREATE TABLE feed (
    one   BIGINT PRIMARY KEY CHECK (one = 1),
    epoch TEXT NOT NULL,                 -- eight hexadecimal digits
    floor BIGINT NOT NULL
);
INSERT INTO feed (one, epoch, floor) VALUES (1, substr(replace(gen_random_uuid()::text, '-', ''), 1, 8), 0);

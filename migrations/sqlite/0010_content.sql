-- What the town's own mail server found out about a mail's sender (RFC 8601): a JSON object. Nothing where no server is
-- trusted to say.
ALTER TABLE interaction ADD COLUMN authenticity TEXT;

-- Whether a file belongs into the text, as an image of a mail's HTML does, and by what the HTML names it (RFC 2392).
ALTER TABLE attachment ADD COLUMN inline INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attachment ADD COLUMN content_id TEXT;

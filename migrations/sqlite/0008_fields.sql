-- What a form asked beyond the text, by the schema of the request's theme: a JSON object. Nothing where it asked nothing.
ALTER TABLE request ADD COLUMN fields TEXT;

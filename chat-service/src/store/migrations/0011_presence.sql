-- What else users share with others.
ALTER TABLE settings ADD COLUMN typing boolean NOT NULL DEFAULT true,
                     ADD COLUMN presence boolean NOT NULL DEFAULT true;

-- When users were seen last, to five minutes.
CREATE TABLE last_seen (
    user_id text COLLATE "C" PRIMARY KEY,
    at      timestamptz NOT NULL
) WITH (fillfactor = 70);

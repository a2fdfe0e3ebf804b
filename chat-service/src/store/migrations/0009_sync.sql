-- What a token of a sync is signed with. A restore into another cluster renews the epoch, which is signed, too.
ALTER TABLE epochs
    ADD COLUMN sync_key bytea NOT NULL
        DEFAULT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');

-- The matches that users have left, so that a device that was away learns that they are gone. Triggers keep it, as
-- services of before this version change members, too.
CREATE TABLE departures (
    user_id  text COLLATE "C" NOT NULL,
    match_id text COLLATE "C" NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (user_id, match_id)
);

CREATE FUNCTION note_departure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO departures (user_id, match_id, at)
    VALUES (OLD.user_id, OLD.match_id, date_trunc('milliseconds', clock_timestamp()))
    ON CONFLICT (user_id, match_id) DO UPDATE SET at = excluded.at;
    RETURN NULL;
END $$;
CREATE TRIGGER departed AFTER DELETE ON user_matches FOR EACH ROW EXECUTE FUNCTION note_departure();

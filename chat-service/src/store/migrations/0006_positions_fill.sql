-- One batch of the matches of before there were positions: $1 is the last match of the batch before, $2 the size of a
-- batch. The last row tells where the next batch begins.
WITH batch AS (
    SELECT match_id, last_seq FROM matches WHERE match_id > $1 ORDER BY match_id LIMIT $2
), placed AS (
    INSERT INTO positions (match_id, user_id, read_seq, delivered_seq)
    SELECT b.match_id, u.user_id, b.last_seq, b.last_seq
    FROM batch b JOIN members u USING (match_id) WHERE b.last_seq > 0
    ON CONFLICT DO NOTHING
)
SELECT max(match_id) FROM batch

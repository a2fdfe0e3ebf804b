-- One batch of the matches of before departures were noted: $1 is the last match of the batch before, $2 the size of a
-- batch. The last row tells where the next batch begins.
WITH batch AS (
    SELECT match_id, members_rev FROM matches WHERE match_id > $1 ORDER BY match_id LIMIT $2
), removed AS (
    INSERT INTO departures (user_id, match_id, at)
    SELECT r.user_id, b.match_id, max(c.created_at)
    FROM batch b JOIN changes c ON c.match_id = b.match_id AND c.kind = 'membership'
    CROSS JOIN LATERAL json_array_elements_text(c.body::json -> 'removed') AS r (user_id)
    WHERE b.members_rev > 0
      AND NOT EXISTS (SELECT FROM user_matches o WHERE o.user_id = r.user_id AND o.match_id = b.match_id)
    GROUP BY r.user_id, b.match_id
    ON CONFLICT DO NOTHING
)
SELECT max(match_id) FROM batch

-- One batch of the matches of before there were changes: $1 is the last match of the batch before, $2 the size of a batch. The last
-- row tells where the next batch begins.
WITH batch AS (
    SELECT match_id, last_seq, closed_at FROM matches WHERE match_id > $1 ORDER BY match_id LIMIT $2
), reached AS (
    INSERT INTO changes (match_id, rev, kind, seq, after_seq, body, created_at)
    SELECT s.match_id, s.rev, 'milestone', s.seq, s.after_seq,
           json_build_object('milestoneId', s.milestone_id, 'unlocks', s.unlocks)::text, s.reached_at
    FROM batch JOIN milestones s USING (match_id)
    ON CONFLICT DO NOTHING
), revs AS (
    SELECT b.match_id, b.last_seq, b.closed_at,
           (SELECT coalesce(max(s.rev), 0) FROM milestones s WHERE s.match_id = b.match_id) AS milestones
    FROM batch b
), closed AS (
    INSERT INTO changes (match_id, rev, kind, after_seq, created_at)
    SELECT match_id, milestones + 1, 'closing', last_seq, closed_at FROM revs WHERE closed_at IS NOT NULL
    ON CONFLICT DO NOTHING
), moved AS (
    UPDATE matches m SET rev = r.milestones + (r.closed_at IS NOT NULL)::integer
    FROM revs r WHERE m.match_id = r.match_id AND r.milestones + (r.closed_at IS NOT NULL)::integer > 0
)
SELECT max(match_id) FROM batch

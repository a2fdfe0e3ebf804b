-- The rev of the last change of a match's members; 0 if they never changed. What is remembered of the members names it,
-- so that whoever moves the match's head sees in the same statement whether that is out of date.
ALTER TABLE matches ADD COLUMN members_rev bigint NOT NULL DEFAULT 0;

-- Counts a ring that meets somebody who is busy. Answers 0, or the ms until the caller may ring again.
-- KEYS: 1 the caller's rings  2 those in the match
-- ARGV: 1, 2 how many rings within how many ms, of all  3, 4 of the match
return take_ring({{KEYS[1], ARGV[1], ARGV[2]}, {KEYS[2], ARGV[3], ARGV[4]}})

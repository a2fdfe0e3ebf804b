-- Raises the register KEYS[1] to ARGV[1] unless it is higher already, and keeps it for ARGV[2] ms from now.
-- A missing one is made only if ARGV[3] is 1.
-- Answers {count, ids of recorded milestones}, or nil when it is missing.
local count = redis.call('HGET', KEYS[1], 'count')
if not count and ARGV[3] ~= '1' then
  return nil
end
count = tonumber(count or 0)
if tonumber(ARGV[1]) > count then
  count = tonumber(ARGV[1])
  redis.call('HSET', KEYS[1], 'count', ARGV[1])
elseif count == 0 then
  redis.call('HSET', KEYS[1], 'count', 0)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local recorded = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local id = string.match(field, '^recorded:(.*)$')
  if id then
    table.insert(recorded, id)
  end
end
return {count, recorded}

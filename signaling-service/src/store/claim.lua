-- Takes up to ARGV[1] members that are due off the front of the sorted set KEYS[1]: they are due again in ARGV[2] ms, in case
-- whoever took them dies. Answers the members.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, member in ipairs(due) do
  redis.call('ZADD', KEYS[1], now + ARGV[2], member)
end
return due

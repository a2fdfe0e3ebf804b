-- Compare-and-set of a call and of everything that points to it. Answers 1 if it was done, 0 if something else was there,
-- and to a caller who rings too often the negative number of ms to wait.
-- KEYS: 1 the call  2 its match's last call  3, 4 its parties' live call  5, 6 their last call  7 the deadlines
--       8 a new call: the caller's rings  9 those in the match
-- ARGV: 1 the record as it was read, empty for a new call  2 the next record  3 ms to keep it  4 whether it is live: 0, 1
--       5 Unix ms when something is due, or empty  6 its member in the deadlines  7 its id  8 what stands before ids in keys
--       9, 10 a new call: how many rings within how many ms, of all  11, 12 of the match
local is_new = ARGV[1] == ''

-- Whether a pointer names no call, or one that is gone, as after an eviction.
local function is_free(pointer)
  local id = redis.call('GET', pointer)
  return not id or redis.call('EXISTS', ARGV[8] .. id) == 0
end

local function is_own(pointer)
  return redis.call('GET', pointer) == ARGV[7]
end

if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
  return 0
end
if is_new then
  if not (is_free(KEYS[3]) and is_free(KEYS[4])) then
    return 0
  end
  local wait = take_ring({{KEYS[8], ARGV[9], ARGV[10]}, {KEYS[9], ARGV[11], ARGV[12]}})
  if wait > 0 then
    return -wait
  end
end

redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
for _, last in ipairs({KEYS[2], KEYS[5], KEYS[6]}) do
  if is_new or is_own(last) then
    redis.call('SET', last, ARGV[7], 'PX', ARGV[3])
  end
end
for _, user in ipairs({KEYS[3], KEYS[4]}) do
  if ARGV[4] == '1' then
    if is_own(user) or is_free(user) then
      redis.call('SET', user, ARGV[7], 'PX', ARGV[3])
    end
  elseif is_own(user) then
    redis.call('DEL', user)
  end
end
if ARGV[5] == '' then
  redis.call('ZREM', KEYS[7], ARGV[6])
else
  redis.call('ZADD', KEYS[7], ARGV[5], ARGV[6])
end
return 1

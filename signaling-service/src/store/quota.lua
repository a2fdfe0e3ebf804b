-- Stands before the scripts that count rings.

-- Takes one ring out of each of the quotas {key, how many, within how many ms}. Without room in all of them it takes
-- nothing and answers how many ms that lasts; else 0. A key lists the Unix ms of the last rings, as many as its quota allows.
local function take_ring(quotas)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local wait = 0
  for _, quota in ipairs(quotas) do
    local key, count, window = quota[1], tonumber(quota[2]), tonumber(quota[3])
    local earliest = redis.call('LINDEX', key, -count)
    if earliest then
      -- No longer than the window, also after the clock was set back.
      wait = math.max(wait, math.min(earliest + window - now, window))
    end
  end
  if wait > 0 then
    return wait
  end
  for _, quota in ipairs(quotas) do
    redis.call('RPUSH', quota[1], now)
    redis.call('LTRIM', quota[1], -quota[2], -1)
    redis.call('PEXPIRE', quota[1], quota[3])
  end
  return 0
end

-- Answers {now in Unix ms, {records}}: the calls KEYS themselves if ARGV[1] is empty, else those that KEYS point to, whose
-- keys are ARGV[1] and the id. What is missing is left out.
local time = redis.call('TIME')
local records = {}
for _, key in ipairs(KEYS) do
  if ARGV[1] ~= '' then
    local id = redis.call('GET', key)
    key = id and ARGV[1] .. id
  end
  local record = key and redis.call('GET', key)
  if record then
    table.insert(records, record)
  end
end
return {time[1] * 1000 + math.floor(time[2] / 1000), records}

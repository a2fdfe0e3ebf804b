-- Marks milestone ARGV[1] as recorded in the register KEYS[1], unless that is gone.
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'recorded:' .. ARGV[1], 1)
end
return 0

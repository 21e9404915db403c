-- Stay the one who learns. KEYS: lease, lead, dedicated, table, told
-- ARGV: owner, fence, ms of the lease, dedicated (1) or not (0), seconds that `lead` lasts,
--       seconds that the others last
-- Answer: 1; 0 somebody else learns; -3 somebody dedicated is there
if redis.call('HGET', KEYS[2], 'fence') ~= ARGV[2] then
  return 0
end
if ARGV[4] == '1' then
  redis.call('SET', KEYS[3], ARGV[1], 'PX', 2 * ARGV[3])
elseif redis.call('EXISTS', KEYS[3]) == 1 then
  return -3
end
-- Also where it ran out: nobody else has come, or the fence would be another.
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[5])
redis.call('EXPIRE', KEYS[4], ARGV[6])
redis.call('EXPIRE', KEYS[5], ARGV[6])
return 1

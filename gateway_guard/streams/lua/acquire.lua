-- Become the one who learns. KEYS: lease, lead, dedicated
-- ARGV: owner, fingerprint of the secret, ms of the lease, dedicated (1) or not (0),
--       patient (1: not where nothing is known), seconds that `lead` lasts
-- Answer: a number > 0, the fence, on success; 0 taken, -1 nothing is known, -2 another secret,
--         -3 somebody dedicated is there
local known = redis.call('HGET', KEYS[2], 'key')
if known and known ~= ARGV[2] then
  return -2
end
if ARGV[4] == '1' then
  redis.call('SET', KEYS[3], ARGV[1], 'PX', 2 * ARGV[3])
elseif redis.call('EXISTS', KEYS[3]) == 1 then
  return -3
end
local last = redis.call('HGET', KEYS[2], 'fence')
if not last and ARGV[5] == '1' then
  return -1
end
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[3]) then
  return 0
end
-- At least the time of day: a server that lost its memory still counts on from where it was.
local time = redis.call('TIME')
local fence = math.max(tonumber(last or 0) + 1, time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSET', KEYS[2], 'fence', string.format('%.0f', fence), 'key', ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[6])
return fence

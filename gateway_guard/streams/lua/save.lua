-- Put a snapshot in force, and drop the sightings that are in it. KEYS: lead, snapshot, sightings
-- ARGV: fence, name, number of pieces, id of the last sighting in it, seconds
-- Answer: {1, name before, pieces before}; {0} when somebody else learns
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then
  return {0}
end
local old = redis.call('HMGET', KEYS[2], 'name', 'pieces')
redis.call('HSET', KEYS[2], 'name', ARGV[2], 'pieces', ARGV[3], 'position', ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[5])
-- All of them, to the last: whole nodes alone would stay for as long as little comes after them.
local time, number = string.match(ARGV[4], '^(%d+)-(%d+)$')
redis.call('XTRIM', KEYS[3], 'MINID', time .. '-' .. string.format('%.0f', number + 1))
return {1, old[1] or '', old[2] or '0'}

-- Put a snapshot in force, and drop the sightings that are in it. KEYS: lead, snapshot, sightings
-- ARGV: fence, name, number of pieces, id of the last sighting in it, seconds
-- Answer: {1, name before, pieces before}; {0} when somebody else learns
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then
  return {0}
end
local old = redis.call('HMGET', KEYS[2], 'name', 'pieces')
redis.call('HSET', KEYS[2], 'name', ARGV[2], 'pieces', ARGV[3], 'position', ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[5])
-- All before the last: by whole nodes, up to a hundred would stay while little comes after them.
redis.call('XTRIM', KEYS[3], 'MINID', ARGV[4])
return {1, old[1] or '', old[2] or '0'}

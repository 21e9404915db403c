-- Say what changed, and put it into the table, unless somebody else learns by now.
-- KEYS: lead, verdicts, table, told
-- ARGV: fence, entries kept, seconds, message, id of the last review that is in it,
--       1 when more follows before the table is whole, fingerprint of the secret,
--       then account, verdict pairs; an empty verdict is none
-- Answer: the message's id; nothing when somebody else learns
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then
  return false
end
-- Each message names the one before it: who misses one knows.
local before = redis.call('HGET', KEYS[4], 'at') or ''
local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'c', ARGV[4], 'p', before)
for i = 8, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[3], ARGV[i])
  else
    redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
  end
end
redis.call('HSET', KEYS[4], 'at', id, 'reviews', ARGV[5], 'partial', ARGV[6], 'key', ARGV[7])
for i = 2, 4 do
  redis.call('EXPIRE', KEYS[i], ARGV[3])
end
return id

-- Write down that an account met a challenge, unless its link was used or its subject has enough.
-- KEYS: verified, challenged, reviews, link, subject
-- ARGV: account, until when (Unix s), now (Unix s), ms a used link is remembered, most accounts of
--       the subject, message, entries kept, s they last, most accounts, s the tables last
-- Answer: 'used', 'crowded', or the message's id
if redis.call('EXISTS', KEYS[4]) == 1 then
  return 'used'
end
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', ARGV[3])
-- What a person cleared is in neither table, and takes no place of the subject any longer.
for _, account in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', '+inf')) do
  if not redis.call('ZSCORE', KEYS[1], account) and not redis.call('ZSCORE', KEYS[2], account) then
    redis.call('ZREM', KEYS[5], account)
  end
end
if not redis.call('ZSCORE', KEYS[5], ARGV[1])
  and redis.call('ZCARD', KEYS[5]) >= tonumber(ARGV[5]) then
  return 'crowded'
end
redis.call('SET', KEYS[4], '1', 'PX', ARGV[4])
redis.call('ZADD', KEYS[5], ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[5], ARGV[10])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -(tonumber(ARGV[9]) + 1))
redis.call('EXPIRE', KEYS[1], ARGV[10])
local id = redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[7], '*', 'r', ARGV[6])
redis.call('EXPIRE', KEYS[3], ARGV[8])
return id

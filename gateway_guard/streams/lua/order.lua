-- Tell all guards what a person decided, and put it into the tables of verification, if it concerns
-- them: both or neither, and nobody else in between, or guards that come later knew it otherwise
-- than those that heard of it.
-- KEYS: verified, challenged, reviews
-- ARGV: message, entries kept, s they last,
--       and where the tables are concerned: account, which of them it is in from now on ('verified',
--       'challenged', 'neither', or as before but for 'unverified'), its score there, most accounts, s the tables last
-- First, as what fails here leaves what was done before it. Answer: the message's id
local id = redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[2], '*', 'r', ARGV[1])
redis.call('EXPIRE', KEYS[3], ARGV[3])
if ARGV[4] then
  redis.call('ZREM', KEYS[1], ARGV[4])
  if ARGV[5] ~= 'unverified' then
    redis.call('ZREM', KEYS[2], ARGV[4])
  end
  if ARGV[5] == 'verified' or ARGV[5] == 'challenged' then
    local table = ARGV[5] == 'verified' and KEYS[1] or KEYS[2]
    redis.call('ZADD', table, ARGV[6], ARGV[4])
    redis.call('ZREMRANGEBYRANK', table, 0, -(tonumber(ARGV[7]) + 1))
    redis.call('EXPIRE', table, ARGV[8])
  end
end
return id

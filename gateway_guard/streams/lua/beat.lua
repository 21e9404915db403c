-- Say that one is there, and hear who is. KEYS: guards, reviews
-- ARGV: name, or nothing to listen only; what to say of oneself, or nothing to leave;
--       ms after which who is silent is gone, most guards, seconds that reviews last
-- Answer: name, ms since its last word, what it says, of each
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[1] ~= '' then
  if ARGV[2] == '' then
    redis.call('HDEL', KEYS[1], ARGV[1])
  elseif redis.call('HLEN', KEYS[1]) < tonumber(ARGV[4]) then
    redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', now) .. ARGV[2])
  end
  redis.call('PEXPIRE', KEYS[1], 2 * ARGV[3])
  -- What people decided lasts for as long as there are guards to heed it.
  redis.call('EXPIRE', KEYS[2], ARGV[5])
end
local all = redis.call('HGETALL', KEYS[1])
local found = {}
for i = 1, #all, 2 do
  local space = string.find(all[i + 1], ' ', 1, true) or 0
  local age = now - (tonumber(string.sub(all[i + 1], 1, space - 1)) or 0)
  if age > tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], all[i])
  else
    found[#found + 1] = all[i]
    found[#found + 1] = string.format('%.0f', math.max(age, 0))
    found[#found + 1] = string.sub(all[i + 1], space + 1)
  end
end
return found

-- What all scripts share; `stores/scripts.py` puts it in front of each. The arithmetic is that of
-- core/buckets.py, which says what the numbers mean.
--
-- ARGV[1] the reservation's id, ARGV[2] the settings below.
-- A key of buckets holds, for each limit: length of its name, name, units used, when, rate.
-- A reservation is "1" and, where it may be taken back, what it charged; "0" was given up before
-- it came.

local call, pack, unpack = redis.call, struct.pack, struct.unpack
local all, concat, ceil = _G.unpack, table.concat, math.ceil
local id = ARGV[1]
-- mode: of the script; theirs: 1 when the time is the caller's; back: 1 when what is never settled
-- is given back; now: Unix seconds; linger: seconds an empty bucket is kept; lease, hold: seconds.
local mode, theirs, back, now, linger, lease, hold = unpack('<BBBdddd', ARGV[2])
if theirs == 0 then
  local time = call('TIME')
  now = time[1] + time[2] / 1e6
end

local LONGEST = 34560000
local BUCKET = 0
local states, repaired = {}, {}

local function load(key)
  local state = states[key]
  if state then return state end
  state = {}
  local text = call('GET', key)
  if text then
    local pos, size, name, used, at, rate = 1, #text
    while pos <= size do
      name, used, at, rate, pos = unpack('<Bc0ddd', text, pos)
      if theirs == 0 and at > now + 1 then
        -- The server's clock was set back: waiting for it to catch up would freeze the bucket.
        at = now
        repaired[key] = true
      end
      state[name] = { used, at, rate }
    end
  end
  states[key] = state
  return state
end

local function level_of(bucket, rate)
  if not bucket then return 0 end
  local level, elapsed = bucket[1], now - bucket[2]
  if elapsed > 0 then level = level - elapsed * rate end
  return level > 0 and level or 0
end

-- Makes `level` the units used. The server's clock is the only one, so it may also run back.
local function set(state, name, level, rate)
  local bucket = state[name]
  local at = now
  if bucket and theirs == 1 and bucket[2] > now then at = bucket[2] end
  state[name] = { level > 0 and level or 0, at, rate }
end

-- Writes a key, without the buckets that have been empty for long. Seconds it will live, or 0.
local function save(key)
  local parts, last = {}, -1
  for name, bucket in pairs(states[key]) do
    local used, at, rate = bucket[1], bucket[2], bucket[3]
    local empty = at
    if used > 0 then empty = rate > 0 and at + used / rate or math.huge end
    if (used > 0 or theirs == 1) and empty + linger > now then
      parts[#parts + 1] = pack('<Bc0ddd', #name, name, used, at, rate)
      if empty > last then last = empty end
    end
  end
  if last < 0 then
    call('DEL', key)
    return 0
  end
  local lives = math.min(math.max(last - now, 0) + linger, LONGEST)
  call('SET', key, concat(parts), 'PX', ceil(lives * 1000))
  return lives
end

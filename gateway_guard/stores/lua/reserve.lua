-- Takes every charge, or none.
--
-- KEYS[1] the reservation; then keys of buckets and of requests in flight, as the charges number
-- them; last, when unsettled reservations are given back, the list of open ones.
-- ARGV[3] the charges: kind, number of the key, units to take, capacity, rate, name.
-- ARGV[4] "1" when this was perhaps asked before and the answer was lost.
-- mode 1 looks and takes nothing.
-- Answers the id, "r", "1" for taken or "0", and units used of each charge beforehand.

local ROUNDING, TICK = 1e-9, 1e-6

-- Gives back what workers that died had reserved.
local function take_back(open)
  local prefix = string.sub(KEYS[1], 1, #KEYS[1] - #id)
  for _, dead in ipairs(call('ZRANGEBYSCORE', open, '-inf', now, 'LIMIT', 0, 16)) do
    call('ZREM', open, dead)
    local record = call('GETDEL', prefix .. dead)
    if record and string.sub(record, 1, 1) == '1' then
      local pos, key, name, taken, rate = 2
      while pos <= #record do
        key, name, taken, rate, pos = unpack('<Hc0Bc0dd', record, pos)
        local state = load(key)
        set(state, name, level_of(state[name], rate) - taken, rate)
        save(key)
      end
    end
  end
end

-- Has places that were taken before the server's clock was set back end with a lease from now: those
-- of workers that died would else stay taken until it is that late again.
local function bring_home(key)
  for _, ahead in ipairs(call('ZRANGEBYSCORE', key, now + lease + 1, '+inf', 'LIMIT', 0, 1000)) do
    call('ZADD', key, now + lease, ahead)
  end
end

local ask, size = ARGV[3], #ARGV[3]
local open = back == 1 and KEYS[#KEYS]
if open then take_back(open) end

local known = ARGV[4] == '1' and call('EXISTS', KEYS[1]) == 1
local levels, fits, count, pos = {}, true, 0, 1
local touched, flights, parts = {}, {}, open and { '1' }
local kind, number, taken, capacity, rate, name
-- What is read is changed as if everything fitted, and written only if it did.
while pos <= size do
  kind, number, taken, capacity, rate, name, pos = unpack('<BHdddBc0', ask, pos)
  local key, level = KEYS[number], 0
  if kind == BUCKET then
    local state = states[key] or load(key)
    local bucket = state[name]
    if bucket then
      local elapsed = now - bucket[2]
      level = bucket[1]
      if elapsed > 0 then
        level = level - elapsed * rate
        if level < 0 then level = 0 end
      end
      if elapsed > 0 or theirs == 0 then bucket[2] = now end
      bucket[1], bucket[3] = level + taken, rate
    else
      state[name] = { taken, now, rate }
    end
    touched[key] = true
    if open then
      parts[#parts + 1] = pack('<Hc0Bc0dd', #key, key, #name, name, taken, rate)
    end
  else
    level = call('ZCOUNT', key, now, '+inf')
    if level + taken > capacity and theirs == 0 then bring_home(key) end
    flights[#flights + 1] = key
  end
  if known then level = math.max(level - taken, 0) end
  count = count + 1
  levels[count] = level
  if capacity <= 0 or level + taken > capacity + ROUNDING + rate * TICK then fits = false end
end

if known then
  fits = true
elseif mode == 1 then
  fits = false
elseif fits and not call('SET', KEYS[1], '1', 'PX', ceil(hold * 1000), 'NX') then
  -- Given up before it came: nobody waits for the answer.
  known = true
end

if fits and not known then
  local lives = hold
  for _, key in ipairs(flights) do
    call('ZREMRANGEBYSCORE', key, '-inf', now)
    call('ZADD', key, now + lease, id)
    call('PEXPIRE', key, ceil(math.min(lease + 1, LONGEST) * 1000))
  end
  for key in pairs(touched) do
    lives = math.max(lives, save(key))
  end
  if open then
    local most = ceil(lives * 1000)
    call('SET', KEYS[1], concat(parts), 'PX', most)
    call('ZADD', open, now + lease, id)
    if call('PTTL', open) < most then call('PEXPIRE', open, most) end
  end
elseif next(repaired) then
  local keys = repaired
  states, repaired = {}, {}
  for key in pairs(keys) do
    load(key)
    save(key)
  end
end

return id .. (fits and 'r1' or 'r0') .. pack('<' .. string.rep('d', count), all(levels))

-- Puts what was used in place of what was reserved, once.
--
-- KEYS[1] the reservation; then keys as in reserve.lua.
-- ARGV[3] the changes: kind, number of the key, units to add (or, negative, to give back), rate, name.
-- mode 1: the reservation is given up; should it come later, it takes nothing.
-- Answers the id, "s" and "1" when it was open.

-- First of all a write that needs no memory: the ones after it then succeed on a full server too.
local record = call('GETDEL', KEYS[1])
if back == 1 then call('ZREM', KEYS[#KEYS], id) end
local open = record and string.sub(record, 1, 1) == '1'
-- What was given up stays so, however often it is settled: it may still come, or, where it was sent
-- twice, come again.
if mode == 1 or (record and not open) then
  call('SET', KEYS[1], '0', 'PX', ceil(lease * 1000))
end
if not open then return id .. 's0' end

local changes, pos, touched = ARGV[3], 1, {}
local kind, number, delta, rate, name
while pos <= #changes do
  kind, number, delta, rate, name, pos = unpack('<BHddBc0', changes, pos)
  local key = KEYS[number]
  if kind == BUCKET then
    local state = load(key)
    set(state, name, level_of(state[name], rate) + delta, rate)
    touched[key] = true
  else
    call('ZREM', key, id)
  end
end
for key in pairs(touched) do save(key) end
return id .. 's1'

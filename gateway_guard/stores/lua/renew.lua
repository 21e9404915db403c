-- Says that the worker still lives: its reservation keeps its places.
--
-- KEYS[1] the reservation; then the sets it stands in: requests in flight, open reservations.
-- Answers the id, "n" and "1" when it was open.

local record = call('GET', KEYS[1])
if not record or string.sub(record, 1, 1) ~= '1' then return id .. 'n0' end
local least = ceil(hold * 1000)
if call('PTTL', KEYS[1]) < least then call('PEXPIRE', KEYS[1], least) end
least = ceil((lease + 1) * 1000)
for i = 2, #KEYS do
  call('ZADD', KEYS[i], now + lease, id)
  if call('PTTL', KEYS[i]) < least then call('PEXPIRE', KEYS[i], least) end
end
return id .. 'n1'

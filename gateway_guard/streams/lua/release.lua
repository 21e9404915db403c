-- Let somebody else learn. KEYS: lease, dedicated; ARGV: owner
for i = 1, 2 do
  if redis.call('GET', KEYS[i]) == ARGV[1] then
    redis.call('DEL', KEYS[i])
  end
end
return 1

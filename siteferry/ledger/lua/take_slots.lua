-- Take a lease of the account and one of the host's address, both or neither.
-- ARGV: prefix, account, address, token (NODE.name), account limit, address limit, lease seconds, wanted ms
-- Gives 1, or 0 and leaves word that a slot is wanted.
local account, address, token = ARGV[2], ARGV[3], ARGV[4]
local t = now()
local a, i = k_slots_account(account), k_slots_address(address)
redis.call('ZREMRANGEBYSCORE', a, '-inf', t)
redis.call('ZREMRANGEBYSCORE', i, '-inf', t)
if redis.call('ZSCORE', a, token) then return 1 end
if redis.call('ZCARD', a) < tonumber(ARGV[5]) and redis.call('ZCARD', i) < tonumber(ARGV[6]) then
  redis.call('ZADD', a, t + ARGV[7], token)
  redis.call('ZADD', i, t + ARGV[7], token)
  local leases = k_leases(string.match(token, '^(.*)%.') or token)
  redis.call('HSET', leases, token, cjson.encode({ account, address }))
  redis.call('EXPIRE', leases, LEASES_SECONDS)
  return 1
end
redis.call('SET', k_wanted(account), 1, 'PX', ARGV[8])
return 0

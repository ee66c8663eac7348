-- Take a lease of the account and one of the host's address, both or neither.
-- ARGV: prefix, account, address, token (NODE.name), account limit, address limit, lease seconds,
--       wanted ms, new connections a second
-- Gives 1; 0, and leaves word that a slot is wanted; or -1: not now, whoever gives one up.
local account, address, token = ARGV[2], ARGV[3], ARGV[4]
local t = now()
local a, i = k_slots_account(account), k_slots_address(address)
local waits = settles()
drop_expired(account, address)
if redis.call('ZSCORE', a, token) then return 1 end
-- From now on `fill` knows which accounts share an address.
redis.call('HSET', k_account(account), 'address', address)
join_address(account, address)
redis.call('HSET', k_limits_address(address), 'configured', ARGV[6])
redis.call('EXPIRE', k_limits_address(address), ACCOUNT_SECONDS)
if waits then return -1 end
if redis.call('ZCARD', a) >= learned(k_limits_account(account), ARGV[5], true) then
  redis.call('SET', k_wanted_account(account), 1, 'PX', ARGV[8])
  return 0
end
if redis.call('ZCARD', i) >= learned(k_limits_address(address), ARGV[6], true) then
  redis.call('SET', k_wanted_address(address), 1, 'PX', ARGV[8])
  return 0
end
redis.call('ZREMRANGEBYSCORE', k_connects(address), '-inf', t - 1)
if redis.call('ZCARD', k_connects(address)) >= tonumber(ARGV[9]) then return -1 end
redis.call('ZADD', k_connects(address), t, token)
redis.call('EXPIRE', k_connects(address), 2)
for _, key in ipairs({ a, i, k_logins_account(account), k_logins_address(address) }) do
  redis.call('ZADD', key, t + ARGV[7], token)
end
note_lease(token, account, address)
return 1

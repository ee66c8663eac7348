-- The host refuses one connection more than it has of us: that many are its limit for now. The lease
-- is given back.
-- ARGV: prefix, account, address, token, told (the number that the host names, or 0),
--       whose limit it is: account, address, or '' where the host does not say
-- Gives how many connections of ours are left that count towards that limit.
local account, address, token, told = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
drop_expired(account, address)
local own = redis.call('ZCARD', k_slots_account(account))
local all = redis.call('ZCARD', k_slots_address(address))
-- Told already, and the answer was lost; or the lease has expired meanwhile.
if not redis.call('ZSCORE', k_slots_account(account), token) then
  return ARGV[6] == 'address' and all or own
end
for _, key in ipairs({ k_slots_account(account), k_slots_address(address),
  k_logins_account(account), k_logins_address(address) }) do
  redis.call('ZREM', key, token)
end
redis.call('HDEL', leases_with(token), token)
local whose = ARGV[6]
if whose == '' then
  -- So many of this account were admitted before, and others are there: it is the address.
  local proven = tonumber(redis.call('HGET', k_limits_account(account), 'proven') or '0')
  whose = (all > own and (own <= 1 or own <= proven)) and 'address' or 'account'
end
local count = whose == 'address' and all or own
local key = whose == 'address' and k_limits_address(address) or k_limits_account(account)
local f = redis.call('HMGET', key, 'proven', 'ceiling', 'patience')
local ceiling = math.max(count - 1, 1)
if told > 0 then ceiling = math.min(ceiling, told) end
local patience = TRIED_AGAIN_SECONDS
-- It was one more than it had refused, tried again: the next try is later.
if f[2] and count > tonumber(f[2]) then
  patience = math.min(2 * tonumber(f[3]), LONGEST_TRIED_AGAIN_SECONDS)
end
redis.call('HSET', key, 'ceiling', ceiling, 'refused_at', now(), 'patience', patience,
  'proven', math.min(tonumber(f[1] or '0'), ceiling))
redis.call('EXPIRE', key, ACCOUNT_SECONDS)
return count - 1

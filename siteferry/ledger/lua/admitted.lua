-- The host has admitted a login: so many connections at once are proven.
-- ARGV: prefix, account, address, token
local account, address, token = ARGV[2], ARGV[3], ARGV[4]
local t = now()
drop_expired(account, address)
redis.call('ZREM', k_logins_account(account), token)
redis.call('ZREM', k_logins_address(address), token)
local function prove(slots, logins, key)
  -- Those whose login is under way may still be refused.
  local count = redis.call('ZCARD', slots) - redis.call('ZCARD', logins)
  local f = redis.call('HMGET', key, 'proven', 'ceiling')
  if count > tonumber(f[1] or '0') then redis.call('HSET', key, 'proven', count) end
  if f[2] and count > tonumber(f[2]) then
    redis.call('HSET', key, 'ceiling', count, 'refused_at', t, 'patience', TRIED_AGAIN_SECONDS)
  end
  redis.call('EXPIRE', key, ACCOUNT_SECONDS)
end
prove(k_slots_account(account), k_logins_account(account), k_limits_account(account))
prove(k_slots_address(address), k_logins_address(address), k_limits_address(address))
return 1

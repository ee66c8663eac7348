-- Connections: leases, and how many of them a host admits.

-- Whether leases may be missing, or look expired, whose sessions live: no worker was heard for longer
-- than heartbeats take, so Redis was away, or is back without what it was told last. Until they have
-- told theirs again, for which they have as long as a lease lives, nobody gets a new one.
-- Clocks may be set back, so nothing holds that lies ahead of now.
local function settles()
  local since = redis.call('GET', k_settling())
  if since then
    local passed = now() - tonumber(since)
    if passed >= 0 and passed < LEASE_SECONDS then return true end
    redis.call('DEL', k_settling())
  end
  local heard = redis.call('GET', k_heard())
  if not heard or now() - tonumber(heard) < HEARD_SECONDS then return false end
  redis.call('SET', k_settling(), now(), 'EX', SETTLING_SECONDS)
  return true
end

-- A worker is heard. Gives what `settles` does.
local function hear()
  local waits = settles()
  redis.call('SET', k_heard(), now(), 'EX', HEARD_KEPT_SECONDS)
  return waits
end

-- Leases that nobody has renewed are gone.
local function drop_expired(account, address)
  if settles() then return end
  for _, key in ipairs({ k_slots_account(account), k_slots_address(address),
    k_logins_account(account), k_logins_address(address) }) do
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now())
  end
end

-- How many connections may be kept by what was learned (`limits:...`): no more than the host has
-- refused, until it is time to try one more. `growing`: and one more than were ever admitted at once.
local function learned(key, configured, growing)
  local f = redis.call('HMGET', key, 'proven', 'ceiling', 'refused_at', 'patience')
  local most = tonumber(configured)
  if f[2] then
    local again = now() - tonumber(f[3]) >= tonumber(f[4])
    most = math.min(most, tonumber(f[2]) + (again and 1 or 0))
  end
  if growing then most = math.min(most, tonumber(f[1] or '0') + 1) end
  return math.max(most, 1)
end

-- How many items the account's window may hold: as many as it may have connections.
local function account_limit(account)
  local configured = redis.call('HGET', k_account(account), 'limit') or '1'
  return learned(k_limits_account(account), configured, false)
end

-- Which leases a worker process has, for `bury.lua`. A token is its node's name, a dot, and more.
local function leases_with(token) return k_leases(string.match(token, '^(.*)%.') or token) end

local function note_lease(token, account, address)
  local leases = leases_with(token)
  redis.call('HSET', leases, token, cjson.encode({ account, address }))
  redis.call('EXPIRE', leases, LEASES_SECONDS)
end

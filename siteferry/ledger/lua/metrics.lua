-- All that is told to Prometheus, as of one moment; changes nothing.
-- ARGV: prefix, name of the shared queue, seconds within which a worker process that lives has beaten
-- Gives JSON: {totals: {"what direction": number}, runs: {state: number}, items: {place: number},
-- messages, workers, stopped: [account], accounts and addresses: [[name, used, configured, learned]],
-- sites: [[site, time of the last run, its state, time of the last good one]]}. Empty lists are {}.
-- Two commands for each run that lives, four for each account of ACCOUNT_SECONDS, three for each
-- address, one for each website of SITE_SECONDS: nothing for the runs that are only kept.
local t = now()
local out = { totals = {}, runs = {}, accounts = {}, addresses = {}, stopped = {}, sites = {},
  messages = redis.call('LLEN', prefix .. ARGV[2]),
  workers = redis.call('ZCOUNT', k_nodes(), t - ARGV[3], '+inf') }

local flat = redis.call('HGETALL', k_totals())
for i = 1, #flat, 2 do out.totals[flat[i]] = tonumber(flat[i + 1]) end

local waiting, inside = 0, 0
for _, run in ipairs(redis.call('SMEMBERS', k_live())) do
  local state = redis.call('HGET', k_run(run), 'state')
  if state and not ended(state) then
    out.runs[state] = (out.runs[state] or 0) + 1
    waiting = waiting + redis.call('LLEN', k_part(run, 'waiting'))
  end
end

-- One row of `accounts` or `addresses`. What was learned is less than what is configured, or the same.
local function slots(name, leases, limits, configured)
  configured = tonumber(configured)
  local ceiling = tonumber(redis.call('HGET', limits, 'ceiling') or configured)
  return { name, redis.call('ZCOUNT', leases, '(' .. t, '+inf'), configured,
    math.min(configured, ceiling) }
end

local addresses = {}
for _, account in ipairs(redis.call('ZRANGE', k_all_accounts(), 0, -1)) do
  local f = redis.call('HMGET', k_account(account), 'limit', 'address')
  if f[1] then
    inside = inside + redis.call('HLEN', k_window(account))
    out.accounts[#out.accounts + 1] =
      slots(account, k_slots_account(account), k_limits_account(account), f[1])
    if f[2] then addresses[f[2]] = true end
  end
end
for address, _ in pairs(addresses) do
  local configured = redis.call('HGET', k_limits_address(address), 'configured')
  if configured then
    out.addresses[#out.addresses + 1] =
      slots(address, k_slots_address(address), k_limits_address(address), configured)
  end
end
-- What `siteferry account resume` has removed stays in the list of stops until its time is over.
for _, account in ipairs(redis.call('ZRANGEBYSCORE', k_stops(), '(' .. t, '+inf')) do
  if tonumber(redis.call('HGET', k_stopped(account), 'until') or '0') > t then
    out.stopped[#out.stopped + 1] = account
  end
end

local claimed = redis.call('ZCARD', k_beats())
out.items = { waiting = waiting, sent = math.max(inside - claimed, 0), claimed = claimed,
  delayed = redis.call('ZCARD', k_delayed()) }

for _, site in ipairs(redis.call('ZRANGE', k_sites(), 0, -1)) do
  local f = redis.call('HMGET', k_site(site), 'last', 'last_state', 'good')
  if f[1] then
    out.sites[#out.sites + 1] = { site, tonumber(f[1]), f[2], f[3] and tonumber(f[3]) }
  end
end
return cjson.encode(out)

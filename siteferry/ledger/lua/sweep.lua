-- Give out again what silent workers held and what was lost on the way; let due items back in.
-- ARGV: prefix, node, stale seconds, lost seconds, length of the shared queue, lease in ms,
--       busy seconds
-- Gives nil when another node sweeps now, else {members to send (JSON), dead nodes (JSON)}.
local node, stale, lost = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local holder = redis.call('GET', k_sweeper())
if holder and holder ~= node then return nil end
redis.call('SET', k_sweeper(), node, 'PX', ARGV[6])
local t = now()
local due, dead = {}, {}

for _, name in ipairs(redis.call('ZRANGEBYSCORE', k_nodes(), '-inf', t - stale)) do
  dead[name] = true
  redis.call('ZREM', k_loads(), name)
end
for _, pair in ipairs(redis.call('ZRANGEBYSCORE', k_delayed(), '-inf', t)) do
  redis.call('ZREM', k_delayed(), pair)
  local run, item = string.match(pair, '^(%S+) (%S+)$')
  local f = redis.call('HMGET', k_run(run), 'state', 'account')
  if f[1] and not ended(f[1]) then
    enqueue(run, item, true)
    due[f[2]] = true
  end
end
-- Claimed, but its worker is silent.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', k_beats(), '-inf', t - stale)) do
  local account = take_away(member, 0, 'died', 'its worker went silent')
  if account then due[account] = true end
end
-- Sent, but never claimed: to a node that has died, or lost with the broker's data.
local accounts = each_unclaimed(function(member, owner, since)
  local age = t - since
  local orphaned = owner ~= '-' and (dead[owner] or not redis.call('ZSCORE', k_nodes(), owner))
  -- Workers take a message only for a free thread, and claim it at once: one that is neither in the
  -- shared queue nor claimed was never sent, or went with a worker or its connection. A node's own
  -- may wait there for a thread.
  -- While there is a backlog nobody can tell, so it is sent again after a long time: once too often
  -- does no harm.
  local vanished = owner == '-' and (age > lost and tonumber(ARGV[5]) == 0 or age > BACKLOG_SECONDS)
    or owner ~= '-' and age > tonumber(ARGV[7])
  -- It was never begun, so it cannot be poison.
  if (orphaned and age > 1) or vanished then take_away(member, 0, 'blameless') end
end)
for account, _ in pairs(due) do accounts[account] = true end
local names = {}
for name, _ in pairs(dead) do names[#names + 1] = name end
redis.call('ZREMRANGEBYSCORE', k_nodes(), '-inf', t - 60)
return { fill_all(accounts), cjson.encode(names) }

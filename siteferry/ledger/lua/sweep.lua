-- Give out again what silent workers held and what was lost on the way; let due items back in.
-- ARGV: prefix, node, stale seconds, lost seconds, length of the shared queue, lease in ms,
--       busy seconds
-- Gives nil when another node sweeps now, else {members to send (JSON), dead nodes (JSON)}.
local node, stale, lost = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local holder = redis.call('GET', k_sweeper())
if holder and holder ~= node then return nil end
redis.call('SET', k_sweeper(), node, 'PX', ARGV[6])
local t = now()
local accounts, dead = {}, {}

for _, name in ipairs(redis.call('ZRANGEBYSCORE', k_nodes(), '-inf', t - stale)) do
  dead[name] = true
end
for _, pair in ipairs(redis.call('ZRANGEBYSCORE', k_delayed(), '-inf', t)) do
  redis.call('ZREM', k_delayed(), pair)
  local run, item = string.match(pair, '^(%S+) (%S+)$')
  local f = redis.call('HMGET', k_run(run), 'state', 'account')
  if f[1] and not ended(f[1]) then
    enqueue(run, item, true)
    accounts[f[2]] = true
  end
end
-- Claimed, but its worker is silent.
for _, member in ipairs(redis.call('ZRANGEBYSCORE', k_beats(), '-inf', t - stale)) do
  local run, item, attempt = split_member(member)
  local f = redis.call('HMGET', k_run(run), 'state', 'account')
  redis.call('ZREM', k_beats(), member)
  if f[2] then
    redis.call('HDEL', k_window(f[2]), member)
    accounts[f[2]] = true
    if f[1] and not ended(f[1]) and redis.call('HGET', k_part(run, 'attempts'), item) == attempt then
      redis.call('HSET', k_run(run), 'last_error', cjson.encode({ message = 'its worker went silent' }))
      next_attempt(run, item, 0, 'fruitless', true)
    end
  end
end
-- Sent, but never claimed: to a node that has died, or lost with the broker's data.
local looked_at = {}
for _, run in ipairs(redis.call('SMEMBERS', k_live())) do
  local account = redis.call('HGET', k_run(run), 'account')
  if not account then
    redis.call('SREM', k_live(), run)
  elseif not looked_at[account] then
    looked_at[account] = true
    accounts[account] = true
    local entries = redis.call('HGETALL', k_window(account))
    for i = 1, #entries, 2 do
      local member = entries[i]
      local owner, since = string.match(entries[i + 1], '^(%S+) (%S+)$')
      if not redis.call('ZSCORE', k_beats(), member) then
        local age = t - tonumber(since)
        local orphaned = owner ~= '-' and (dead[owner] or not redis.call('ZSCORE', k_nodes(), owner))
        -- Workers take a message only for a free thread, and claim it at once: one that is neither
        -- in the shared queue nor claimed was never sent, or went with a worker or its connection.
        -- A node's own may wait there for a thread.
        local vanished = owner == '-' and age > lost and tonumber(ARGV[5]) == 0
          or owner ~= '-' and age > tonumber(ARGV[7])
        if (orphaned and age > 1) or vanished then
          local r, item, attempt = split_member(member)
          redis.call('HDEL', k_window(account), member)
          local s = redis.call('HGET', k_run(r), 'state')
          if s and not ended(s) and redis.call('HGET', k_part(r, 'attempts'), item) == attempt then
            -- It was never begun, so it cannot be poison.
            next_attempt(r, item, 0, 'blameless', true)
          end
        end
      end
    end
  end
end
local out, names = {}, {}
for account, _ in pairs(accounts) do
  for _, m in ipairs(fill(account, '')) do out[#out + 1] = m end
end
for name, _ in pairs(dead) do names[#names + 1] = name end
redis.call('ZREMRANGEBYSCORE', k_nodes(), '-inf', t - 60)
return { cjson.encode(out), cjson.encode(names) }

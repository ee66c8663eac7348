-- Give out again, at once, what a worker process held that is dead or is ending.
-- ARGV: prefix, node, fate: 'killed'; 'left' (it has ended itself: its items are not at fault), or
--       'leaving' (it still carries what it has claimed, and will claim nothing more)
-- Gives the members to send (JSON).
local node, fate = ARGV[2], ARGV[3]
local rid = {}
redis.call('ZREM', k_loads(), node)
if fate ~= 'leaving' then
  local came = fate == 'killed' and 'died' or 'blameless'
  local why = fate == 'killed' and 'its worker has died' or nil
  for _, member in ipairs(redis.call('ZRANGE', k_beats(), 0, -1)) do
    local run, item = split_member(member)
    local account = redis.call('HGET', k_run(run), 'account')
    local entry = account and redis.call('HGET', k_window(account), member)
    if entry and string.match(entry, '^%S+') == node then
      -- What was sent last may still be on its way to the server. Files are never written by two
      -- attempts under one name, but a publish (which a plan may have to finish, too) moves what is
      -- there: a second, as LEASE_SECONDS of `siteferry.dispatch.work` leaves for it.
      local delay = (item == 'publish' or item == 'plan') and 1 or 0
      rid[take_away(member, delay, came, why)] = true
    end
  end
  local leases = redis.call('HGETALL', k_leases(node))
  for i = 1, #leases, 2 do
    local where = cjson.decode(leases[i + 1])
    for _, key in ipairs({ k_slots_account(where[1]), k_slots_address(where[2]),
      k_logins_account(where[1]), k_logins_address(where[2]) }) do
      redis.call('ZREM', key, leases[i])
    end
  end
  redis.call('DEL', k_leases(node))
  redis.call('ZREM', k_nodes(), node)
  -- Nobody is left who could have sessions that are not on record.
  if redis.call('ZCARD', k_nodes()) == 0 then redis.call('DEL', k_heard()) end
  if redis.call('GET', k_sweeper()) == node then redis.call('DEL', k_sweeper()) end
end
-- Sent to its own queue, and never begun.
local accounts = each_unclaimed(function(member, owner)
  if owner == node then take_away(member, 0, 'blameless') end
end)
for account, _ in pairs(rid) do accounts[account] = true end
return fill_all(accounts)

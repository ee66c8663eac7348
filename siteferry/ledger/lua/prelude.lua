-- Stands in front of every script. Names of keys (the same as in keys.py; a test compares the two)
-- and the steps that several scripts share. ARGV[1] is always the key prefix.
-- Time is Redis' own, in seconds with fractions, so that no worker's clock matters.

local prefix = ARGV[1]
local LIVE_SECONDS = 30 * 24 * 3600
local ACCOUNT_SECONDS = 90 * 24 * 3600
local SCHEDULE_SECONDS = 90 * 24 * 3600
local PLANNED_SECONDS = 3600
local LEASES_SECONDS = 60
local SITE_SECONDS = 400 * 24 * 3600
local TRIED_AGAIN_SECONDS = 60
local LONGEST_TRIED_AGAIN_SECONDS = 3600
local TURN_SECONDS = 10
local BACKLOG_SECONDS = 600

local function k_runs() return prefix .. 'runs' end
local function k_live() return prefix .. 'live' end
local function k_run(run) return prefix .. 'run:' .. run end
local function k_part(run, part) return prefix .. 'run:' .. run .. ':' .. part end
local function k_account(account) return prefix .. 'account:' .. account end
local function k_profile(account) return prefix .. 'account:' .. account .. ':profile' end
local function k_stopped(account) return prefix .. 'account:' .. account .. ':stopped' end
local function k_window(account) return prefix .. 'account:' .. account .. ':window' end
local function k_turns(account) return prefix .. 'account:' .. account .. ':turns' end
local function k_beats() return prefix .. 'beats' end
local function k_delayed() return prefix .. 'delayed' end
local function k_slots_account(account) return prefix .. 'slots:account:' .. account end
local function k_slots_address(address) return prefix .. 'slots:address:' .. address end
local function k_logins_account(account) return prefix .. 'logins:account:' .. account end
local function k_logins_address(address) return prefix .. 'logins:address:' .. address end
local function k_limits_account(account) return prefix .. 'limits:account:' .. account end
local function k_limits_address(address) return prefix .. 'limits:address:' .. address end
local function k_wanted_account(account) return prefix .. 'wanted:account:' .. account end
local function k_wanted_address(address) return prefix .. 'wanted:address:' .. address end
local function k_accounts(address) return prefix .. 'address:' .. address .. ':accounts' end
local function k_connects(address) return prefix .. 'address:' .. address .. ':connects' end
local function k_target(target) return prefix .. 'target:' .. target end
local function k_left(target) return prefix .. 'target:' .. target .. ':left' end
local function k_swept(target) return prefix .. 'target:' .. target .. ':swept' end
local function k_stops() return prefix .. 'stops' end
local function k_nodes() return prefix .. 'nodes' end
local function k_leases(node) return prefix .. 'node:' .. node .. ':leases' end
local function k_sweeper() return prefix .. 'sweeper' end
local function k_totals() return prefix .. 'totals' end
local function k_all_accounts() return prefix .. 'accounts' end
local function k_sites() return prefix .. 'sites' end
local function k_site(site) return prefix .. 'site:' .. site end
local function k_schedule(site) return prefix .. 'schedule:' .. site end

local RUN_PARTS = { 'items', 'attempts', 'fruitless', 'barren', 'claims', 'replies', 'waiting', 'parts',
  'outcomes', 'failures', 'workers', 'previous', 'tree', 'warnings', 'staged', 'extras', 'planned',
  'elsewhere', 'deaths' }

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1000000
end

local function member_of(run, item, attempt) return run .. ' ' .. item .. ' ' .. attempt end

local function split_member(member)
  local run, item, attempt = string.match(member, '^(%S+) (%S+) (%d+)$')
  return run, item, attempt
end

local function ended(state)
  return state == 'done' or state == 'incomplete' or state == 'failed' or state == 'cancelled'
end

-- How long the run is known after its end, as it was said when it was started.
local function keep_seconds(run)
  return tonumber(redis.call('HGET', k_run(run), 'keep_seconds') or LIVE_SECONDS)
end

local function expire_run(run, seconds)
  redis.call('EXPIRE', k_run(run), seconds)
  for _, part in ipairs(RUN_PARTS) do redis.call('EXPIRE', k_part(run, part), seconds) end
end

-- No key of a run outlives it, also where every process dies at once and nobody ends the run: a run
-- that lives expires LIVE_SECONDS after something has happened to it, give or take a day, and a key
-- that has come since then expires with the others. Called last by each script that makes keys.
local function touch_run(run)
  local key = k_run(run)
  local left = redis.call('TTL', key)
  if left < LIVE_SECONDS - 24 * 3600 and not ended(redis.call('HGET', key, 'state')) then
    return expire_run(run, LIVE_SECONDS)
  end
  for _, part in ipairs(RUN_PARTS) do
    if redis.call('TTL', k_part(run, part)) == -1 then
      redis.call('EXPIRE', k_part(run, part), left)
    end
  end
end

-- Put an item behind those that wait for the account's window. `first`: before those of its run;
-- 'urgent': its run before all others; 'yielding': before those of its run, which has had its turn.
local function enqueue(run, item, first)
  local account = redis.call('HGET', k_run(run), 'account')
  local waiting = k_part(run, 'waiting')
  if redis.call('LLEN', waiting) == 0 then
    -- A run stands in `turns` once, exactly while it has waiting items.
    redis.call('LREM', k_turns(account), 0, run)
    if first and first ~= 'yielding' then redis.call('LPUSH', k_turns(account), run)
    else redis.call('RPUSH', k_turns(account), run) end
  elseif first == 'urgent' then
    redis.call('LREM', k_turns(account), 0, run)
    redis.call('LPUSH', k_turns(account), run)
  end
  if first then redis.call('LPUSH', waiting, item) else redis.call('RPUSH', waiting, item) end
  if redis.call('LLEN', waiting) == 1 then redis.call('EXPIRE', waiting, LIVE_SECONDS) end
end

local function new_item(run, item, body, first)
  redis.call('HSET', k_part(run, 'items'), item, body)
  redis.call('HSET', k_part(run, 'attempts'), item, 1)
  redis.call('HINCRBY', k_run(run), 'open', 1)
  enqueue(run, item, first)
end

-- Add to the counts that outlive all runs: a table of name and number. A dry run carries nothing, and
-- counts as nothing.
local function count(run, numbers)
  local f = redis.call('HMGET', k_run(run), 'direction', 'dry_run')
  if f[2] == '1' then return end
  for name, number in pairs(numbers) do
    if number > 0 then redis.call('HINCRBY', k_totals(), name .. ' ' .. f[1], number) end
  end
end

-- Put `name` into a list of names by time, which is forgotten after so many seconds.
local function note_name(key, name, seconds)
  redis.call('ZADD', key, now(), name)
  redis.call('EXPIRE', key, seconds)
end

-- Names that have not come for so many seconds leave their list.
local function drop_names(key, seconds)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', now() - seconds)) do
    redis.call('ZREM', key, name)
  end
end

-- What the run leaves for the counts, and for what is known of its website. Of one that has no file
-- (its run was all there was of it), and of dry runs, nothing is known.
local function count_end(run, state)
  local f = redis.call('HMGET', k_run(run), 'site', 'direction', 'dry_run', 'ad_hoc', 'failed', 'deleted')
  count(run, { ['ended ' .. state] = 1, failed = tonumber(f[5] or '0'), deleted = tonumber(f[6] or '0') })
  if f[2] ~= 'import' or f[3] == '1' or f[4] == '1' then return end
  local key, t = k_site(f[1]), now()
  redis.call('HSET', key, 'last', t, 'last_state', state, 'last_run', run)
  if state == 'done' then redis.call('HSET', key, 'good', t, 'good_run', run) end
  redis.call('EXPIRE', key, SITE_SECONDS)
  note_name(k_sites(), f[1], SITE_SECONDS)
end

-- End a run: what waits is dropped, the target is free in the same step.
local function end_run(run, state)
  local key = k_run(run)
  redis.call('HSET', key, 'state', state, 'ended', now())
  count_end(run, state)
  local account = redis.call('HGET', key, 'account')
  redis.call('LREM', k_turns(account), 0, run)
  -- What was sent and is not claimed runs nowhere: its message may never arrive.
  for _, member in ipairs(redis.call('HKEYS', k_window(account))) do
    if split_member(member) == run and not redis.call('ZSCORE', k_beats(), member) then
      redis.call('HDEL', k_window(account), member)
    end
  end
  redis.call('DEL', k_part(run, 'waiting'), k_part(run, 'items'), k_part(run, 'previous'),
    k_part(run, 'tree'), k_part(run, 'barren'), k_part(run, 'extras'), k_part(run, 'elsewhere'),
    k_part(run, 'deaths'))
  local target = redis.call('HGET', key, 'target')
  if state == 'done' then
    redis.call('DEL', k_part(run, 'outcomes'), k_part(run, 'parts'), k_part(run, 'staged'),
      k_left(target))
  elseif redis.call('EXISTS', k_part(run, 'outcomes'), k_part(run, 'staged')) > 0 then
    redis.call('SET', k_left(target), run, 'EX', keep_seconds(run))
  end
  -- It may have left something behind.
  if state ~= 'done' then redis.call('DEL', k_swept(target)) end
  if redis.call('GET', k_target(target)) == run then redis.call('DEL', k_target(target)) end
  redis.call('SREM', k_live(), run)
  expire_run(run, keep_seconds(run))
  redis.call('EXPIRE', k_part(run, 'planned'), PLANNED_SECONDS)
end

-- No item is open: what comes next for the run.
local function advance(run)
  local key = k_run(run)
  if tonumber(redis.call('HGET', key, 'open')) > 0 then return end
  local f = redis.call('HMGET', key, 'state', 'failed', 'on_failure', 'error', 'dry_run')
  local state, failed, on_failure, failure = f[1], tonumber(f[2]), f[3], f[4]
  if ended(state) then return end
  if state == 'publishing' or f[5] == '1' then
    end_run(run, (failed > 0 or failure) and 'incomplete' or 'done')
  elseif failed > 0 and on_failure ~= 'publish' then
    end_run(run, 'incomplete')
  elseif failure then
    end_run(run, 'incomplete')
  else
    redis.call('HSET', key, 'state', 'publishing')
    new_item(run, 'publish', '{}', 'urgent')
  end
end

-- Leases that nobody has renewed are gone.
local function drop_expired(account, address)
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

-- What people are shown of an item: the first field of its body, where `Child` in items.py has put it.
local function label_of(run, item)
  local body = redis.call('HGET', k_part(run, 'items'), item)
  local label = body and string.match(body, '^{"label":("[^"]*")')
  return label and cjson.decode('[' .. label .. ']')[1] or ''
end

-- Let one waiting item of the account into its window, from its runs in turn; false: none waits.
local function let_in(account, out, node)
  while true do
    local run = redis.call('LPOP', k_turns(account))
    if not run then return false end
    local item = redis.call('LPOP', k_part(run, 'waiting'))
    if item then
      if redis.call('LLEN', k_part(run, 'waiting')) > 0 then
        redis.call('RPUSH', k_turns(account), run)
      end
      local attempt = redis.call('HGET', k_part(run, 'attempts'), item)
      -- The first of them goes to the finisher's own queue, so only that one names its node.
      local owner = (#out == 0 and node ~= '') and node or '-'
      redis.call('HSET', k_window(account), member_of(run, item, attempt), owner .. ' ' .. now())
      out[#out + 1] = { run, item, attempt, redis.call('HGET', k_run(run), 'site') or '',
        label_of(run, item) }
      return true
    end
  end
end

-- Which account of the address goes next: of those with waiting items and room the one with the
-- fewest in its window, of several such the one whose turn is longest ago. `own` has just freed a
-- place, so its session is there: it goes on for TURN_SECONDS unless another one has less than it.
local function next_account(accounts, held, own)
  local best = nil
  for _, a in ipairs(accounts) do
    if (not best or held[a[1]] < held[best[1]]) and held[a[1]] < account_limit(a[1])
        and redis.call('LLEN', k_turns(a[1])) > 0 then
      best = a
    end
  end
  if best and held[own[1]] <= held[best[1]] and now() - own[2] < TURN_SECONDS
      and held[own[1]] < account_limit(own[1]) and redis.call('LLEN', k_turns(own[1])) > 0 then
    return own
  end
  return best
end

-- The account has items at this address.
local function join_address(account, address)
  redis.call('ZADD', k_accounts(address), 'NX', now(), account)
  redis.call('EXPIRE', k_accounts(address), ACCOUNT_SECONDS)
end

-- Fill the windows of the account and of those that share its address, from runs in turn; gives a
-- list of {run, item, attempt, site, label}.
local function fill(account, node)
  local out = {}
  local address = redis.call('HGET', k_account(account), 'address')
  if not address then
    while redis.call('HLEN', k_window(account)) < account_limit(account)
        and let_in(account, out, node) do end
    return out
  end
  join_address(account, address)
  local flat = redis.call('ZRANGE', k_accounts(address), 0, -1, 'WITHSCORES')
  local accounts, held, used, own = {}, {}, 0, nil
  for i = 1, #flat, 2 do
    local a, inside = { flat[i], tonumber(flat[i + 1]) }, redis.call('HLEN', k_window(flat[i]))
    if redis.call('HGET', k_account(a[1]), 'address') ~= address
        or a[1] ~= account and inside == 0 and redis.call('LLEN', k_turns(a[1])) == 0 then
      -- It has moved to another address, or has nothing to do.
      redis.call('ZREM', k_accounts(address), a[1])
    else
      accounts[#accounts + 1], held[a[1]], used = a, inside, used + inside
      if a[1] == account then own = a end
    end
  end
  local configured = redis.call('HGET', k_limits_address(address), 'configured')
  local room = configured and learned(k_limits_address(address), configured, false) - used or 1
  while room > 0 do
    local a = next_account(accounts, held, own)
    if not a then break end
    if a ~= own or now() - own[2] >= TURN_SECONDS then
      a[2] = now()
      redis.call('ZADD', k_accounts(address), a[2], a[1])
    end
    if let_in(a[1], out, node) then held[a[1]], room = held[a[1]] + 1, room - 1 end
  end
  return out
end

-- Which leases a worker process has, for `bury.lua`. A token is its node's name, a dot, and more.
local function leases_with(token) return k_leases(string.match(token, '^(.*)%.') or token) end

local function note_lease(token, account, address)
  local leases = leases_with(token)
  redis.call('HSET', leases, token, cjson.encode({ account, address }))
  redis.call('EXPIRE', leases, LEASES_SECONDS)
end

-- A file is done, so what stood of it counts no more by itself.
local function drop_part(run, path)
  local known = redis.call('HGET', k_part(run, 'parts'), path)
  if known then
    redis.call('HDEL', k_part(run, 'parts'), path)
    -- Not -x: Redis before 7.2 takes Lua's -0 for no integer.
    redis.call('HINCRBY', k_run(run), 'part_bytes', 0 - cjson.decode(known)[3])
  end
end

-- Record file outcomes, each path once: {path, status, json, bytes}. Gives how many were new.
local function record(run, node, outcomes)
  local key = k_run(run)
  local fresh, arrived, arrived_bytes = 0, 0, 0
  for _, o in ipairs(outcomes) do
    local path, status, json, bytes = o[1], o[2], o[3], o[4]
    if status == 'transferred' then
      if redis.call('HSETNX', k_part(run, 'outcomes'), path, json) == 1 then
        fresh, arrived, arrived_bytes = fresh + 1, arrived + 1, arrived_bytes + bytes
        redis.call('HINCRBY', key, 'transferred', 1)
        redis.call('HINCRBY', key, 'transferred_bytes', bytes)
        redis.call('HINCRBY', k_part(run, 'workers'), node, 1)
        drop_part(run, path)
        if redis.call('HDEL', k_part(run, 'failures'), path) == 1 then
          redis.call('HINCRBY', key, 'failed', -1)
        end
      end
    elseif status == 'unpublished' then
      if redis.call('HDEL', k_part(run, 'outcomes'), path) == 1 then
        redis.call('HINCRBY', key, 'transferred', -1)
        redis.call('HINCRBY', key, 'transferred_bytes', 0 - bytes)
      end
      if redis.call('HSETNX', k_part(run, 'failures'), path, json) == 1 then
        fresh = fresh + 1
        redis.call('HINCRBY', key, 'failed', 1)
      end
    elseif redis.call('HEXISTS', k_part(run, 'outcomes'), path) == 0
        and redis.call('HSETNX', k_part(run, 'failures'), path, json) == 1 then
      fresh = fresh + 1
      redis.call('HINCRBY', key, 'failed', 1)
    end
  end
  if arrived > 0 then count(run, { transferred = arrived, transferred_bytes = arrived_bytes }) end
  return fresh
end

-- Keep what stands of unfinished files: {path, remote name, size, offset, sha256, ended} each; the
-- furthest offset that there ever was is kept with it. Gives how many of them are beyond that.
local function keep_parts(run, parts)
  local further = 0
  for _, part in ipairs(parts) do
    local path = table.remove(part, 1)
    if redis.call('HEXISTS', k_part(run, 'outcomes'), path) == 0 then
      local text = redis.call('HGET', k_part(run, 'parts'), path)
      local known = text and cjson.decode(text) or { '', 0, 0, '', false, 0 }
      if part[3] > known[6] then further = further + 1 end
      part[6] = math.max(part[3], known[6])
      redis.call('HINCRBY', k_run(run), 'part_bytes', part[3] - known[3])
      redis.call('HSET', k_part(run, 'parts'), path, cjson.encode(part))
    end
  end
  return further
end

local function clear_fruitless(run, item)
  redis.call('HDEL', k_part(run, 'fruitless'), item)
  redis.call('HDEL', k_part(run, 'barren'), item)
  redis.call('HDEL', k_part(run, 'deaths'), item)
end

-- From now on this node works on the attempt.
local function take(run, item, attempt, node)
  local key = k_run(run)
  local member = member_of(run, item, attempt)
  redis.call('HSET', k_part(run, 'claims'), item, attempt .. ' ' .. node)
  redis.call('HSET', k_window(redis.call('HGET', key, 'account')), member, node .. ' ' .. now())
  redis.call('ZADD', k_beats(), now(), member)
  if redis.call('HGET', key, 'state') == 'queued' then
    redis.call('HSET', key, 'state', 'planning', 'started', now())
  end
end

-- Whether this attempt at this item is the one that counts, claimed by this node. A Redis that has
-- lost its last second may have lost the claim: whoever works on the attempt that is still out may
-- claim it again.
local function holds(run, item, attempt, node)
  local claim = redis.call('HGET', k_part(run, 'claims'), item)
  if claim then return claim == attempt .. ' ' .. node end
  local window = k_window(redis.call('HGET', k_run(run), 'account'))
  if redis.call('HGET', k_part(run, 'attempts'), item) ~= attempt
      or redis.call('HEXISTS', window, member_of(run, item, attempt)) == 0 then
    return false
  end
  take(run, item, attempt, node)
  return true
end

local function leave_window(account, run, item, attempt)
  local member = member_of(run, item, attempt)
  redis.call('HDEL', k_window(account), member)
  redis.call('ZREM', k_beats(), member)
end

-- Give an item out again as its next attempt, after `delay` seconds. `came`: what came of this one:
-- 'fruitful', 'fruitless', or 'blameless', which changes nothing. `first`: see `enqueue`. `retry`: why
-- this is done once more, which counts as a retry: 'error', 'died', 'elsewhere'; nil where it is none.
local function next_attempt(run, item, delay, came, first, retry)
  redis.call('HINCRBY', k_part(run, 'attempts'), item, 1)
  redis.call('HDEL', k_part(run, 'claims'), item)
  if came == 'fruitful' then clear_fruitless(run, item)
  elseif came == 'fruitless' then
    redis.call('HINCRBY', k_part(run, 'fruitless'), item, 1)
    redis.call('HSETNX', k_part(run, 'barren'), item, now())
  end
  if retry then
    redis.call('HINCRBY', k_run(run), 'retries', 1)
    count(run, { ['retries ' .. retry] = 1 })
  end
  if delay > 0 then redis.call('ZADD', k_delayed(), now() + delay, run .. ' ' .. item)
  else enqueue(run, item, first) end
  touch_run(run)
end

-- Take an attempt away from the worker that had it, and give its item out again; see `next_attempt`.
-- `why`: the error that the run shows, if any. Gives the account, whose window has room now; nil
-- when the run is gone.
local function take_away(member, delay, came, why)
  local run, item, attempt = split_member(member)
  local f = redis.call('HMGET', k_run(run), 'state', 'account')
  redis.call('ZREM', k_beats(), member)
  if not f[2] then return nil end
  redis.call('HDEL', k_window(f[2]), member)
  if f[1] and not ended(f[1]) and redis.call('HGET', k_part(run, 'attempts'), item) == attempt then
    if why then redis.call('HSET', k_run(run), 'last_error', cjson.encode({ message = why })) end
    -- It may have been at fault or not, so this is counted for itself.
    if came == 'died' then redis.call('HINCRBY', k_part(run, 'deaths'), item, 1) end
    next_attempt(run, item, delay, 'blameless', true, came == 'died' and came or nil)
  end
  return f[2]
end

-- Look at what was sent and not claimed: visit(member, owner, since). Gives a set of the accounts
-- that have live runs.
local function each_unclaimed(visit)
  local accounts = {}
  for _, run in ipairs(redis.call('SMEMBERS', k_live())) do
    local account = redis.call('HGET', k_run(run), 'account')
    if not account then
      redis.call('SREM', k_live(), run)
    elseif not accounts[account] then
      accounts[account] = true
      local entries = redis.call('HGETALL', k_window(account))
      for i = 1, #entries, 2 do
        if not redis.call('ZSCORE', k_beats(), entries[i]) then
          local owner, since = string.match(entries[i + 1], '^(%S+) (%S+)$')
          visit(entries[i], owner, tonumber(since))
        end
      end
    end
  end
  return accounts
end

-- Fill the windows of a set of accounts; gives what is to be sent (JSON).
local function fill_all(accounts)
  local out = {}
  for account, _ in pairs(accounts) do
    for _, m in ipairs(fill(account, '')) do out[#out + 1] = m end
  end
  return cjson.encode(out)
end

-- Whether a due time (Unix seconds) of a website's schedule has been dealt with.
local function is_handled(site, due)
  return tonumber(redis.call('HGET', k_schedule(site), 'handled') or '-1') >= tonumber(due)
end

-- It is dealt with now. `times`: the text of the schedule; `outcome`: started, skipped, missed or
-- refused; `run`: the one that was started, or is in the way.
local function handle_due(site, due, times, outcome, run, reason)
  local key = k_schedule(site)
  redis.call('HSET', key, 'times', times, 'handled', due, 'due', due, 'outcome', outcome,
    'run', run, 'reason', reason, 'at', now())
  redis.call('HDEL', key, 'waits', 'holder')
  redis.call('EXPIRE', key, SCHEDULE_SECONDS)
end

-- Attempts at items: claimed, given back, taken away.

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
    for _, m in ipairs(fill(account, nil)) do out[#out + 1] = m end
  end
  return cjson.encode(out)
end

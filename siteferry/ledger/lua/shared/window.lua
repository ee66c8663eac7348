-- The window: what may be under way now, of each account and address.

-- Who has just finished an item, as `fill` wants it: a node, or '' for none, and what it has in hand
-- beside that item.
local function finisher_of(node, beside)
  return node ~= '' and { node = node, beside = tonumber(beside) } or nil
end

-- What people are shown of an item: the first field of its body, where `Child` in items.py has put it.
local function label_of(run, item)
  local body = redis.call('HGET', k_part(run, 'items'), item)
  local label = body and string.match(body, '^{"label":("[^"]*")')
  return label and cjson.decode('[' .. label .. ']')[1] or ''
end

-- Whether the process that has just finished an item is to have the next one, since its session is
-- there, or whoever takes it first: another process that has a thread to spare, and less than half
-- of what this one would have. `beside`: what it has in hand apart from that.
local function keeps(finisher)
  for _, node in ipairs(redis.call('ZRANGE', k_loads(), 0, -1)) do
    if node == finisher.node then return true end
    local beaten = redis.call('ZSCORE', k_nodes(), node)
    if beaten and tonumber(beaten) > now() - HEARD_SECONDS then
      local load = tonumber(redis.call('ZSCORE', k_loads(), node))
      if finisher.beside + 1 < 2 * (load + 1) then return true end
      -- Until it tells its load again it is taken to be the one who takes it.
      redis.call('ZADD', k_loads(), load + 1, node)
      return false
    end
    redis.call('ZREM', k_loads(), node)
  end
  return true
end

-- Let one waiting item of the account into its window, from its runs in turn; false: none waits.
-- The first of several may go to the finisher's own queue; only that one names its node.
local function let_in(account, out, finisher)
  while true do
    local run = redis.call('LPOP', k_turns(account))
    if not run then return false end
    local item = redis.call('LPOP', k_part(run, 'waiting'))
    if item then
      if redis.call('LLEN', k_part(run, 'waiting')) > 0 then
        redis.call('RPUSH', k_turns(account), run)
      end
      local attempt = redis.call('HGET', k_part(run, 'attempts'), item)
      local own = finisher and #out == 0 and keeps(finisher)
      redis.call('HSET', k_window(account), member_of(run, item, attempt),
        (own and finisher.node or '-') .. ' ' .. now())
      out[#out + 1] = { run, item, attempt, redis.call('HGET', k_run(run), 'site') or '',
        label_of(run, item), own and finisher.node or '' }
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
-- list of {run, item, attempt, site, label, node whose own queue gets it or ''}.
-- finisher: {node, beside}, see `keeps`; nil: nobody who could go on has just finished something.
local function fill(account, finisher)
  local out = {}
  local address = redis.call('HGET', k_account(account), 'address')
  if not address then
    while redis.call('HLEN', k_window(account)) < account_limit(account)
        and let_in(account, out, finisher) do end
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
    if let_in(a[1], out, finisher) then held[a[1]], room = held[a[1]] + 1, room - 1 end
  end
  return out
end

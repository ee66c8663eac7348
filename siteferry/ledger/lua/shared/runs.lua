-- A run's keys live and go together; its items wait in their order.

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

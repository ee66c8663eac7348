-- How a run comes to its end, or to its publish.

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

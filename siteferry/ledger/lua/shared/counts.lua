-- What is counted beyond the life of a run, for `metrics.lua`.

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

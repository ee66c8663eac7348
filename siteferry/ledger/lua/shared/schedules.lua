-- Due times of schedules.

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

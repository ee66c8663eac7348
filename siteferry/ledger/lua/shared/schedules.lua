-- Due times of schedules.

-- Whether a time (Unix seconds) lies further ahead than any clock may be: who says it has a wrong one.
local function is_ahead(time) return tonumber(time) > now() + AHEAD_SECONDS end

-- Until when (Unix seconds) a website's schedule is dealt with; -1 where nothing is known of it. What
-- an earlier version noted from a clock that was far ahead stands for now: nothing would be due till then.
local function handled_until(site)
  local noted = tonumber(redis.call('HGET', k_schedule(site), 'handled') or '-1')
  if is_ahead(noted) then return now() end
  return noted
end

-- Whether a due time (Unix seconds) of a website's schedule has been dealt with.
local function is_handled(site, due) return handled_until(site) >= tonumber(due) end

-- It is dealt with now. `times`: the text of the schedule; `outcome`: started, skipped, missed or
-- refused; `run`: the one that was started, or is in the way.
local function handle_due(site, due, times, outcome, run, reason)
  local key = k_schedule(site)
  redis.call('HSET', key, 'times', times, 'handled', due, 'due', due, 'outcome', outcome,
    'run', run, 'reason', reason, 'at', now())
  redis.call('HDEL', key, 'waits', 'holder')
  redis.call('EXPIRE', key, SCHEDULE_SECONDS)
end

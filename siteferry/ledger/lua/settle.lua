-- What becomes of a website's schedule besides starts.
-- ARGV: prefix, site, its text ('' of one that is gone), until when (Unix seconds) it is dealt with,
--   outcome ('' where there was nothing to do), reason
-- Gives until when it is dealt with now. That never goes back, except from far ahead of Redis' clock, to
-- it; a due time that lies so far ahead is not noted.
local site, times, until_when, outcome, reason = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local key = k_schedule(site)
if outcome == '' then
  local begin = is_ahead(until_when) and now() or tonumber(until_when)
  redis.call('HSET', key, 'times', times, 'handled', math.max(begin, handled_until(site)))
elseif not is_ahead(until_when) and not is_handled(site, until_when) then
  handle_due(site, until_when, times, outcome, '', reason)
end
redis.call('EXPIRE', key, SCHEDULE_SECONDS)
return redis.call('HGET', key, 'handled')

-- What becomes of a website's schedule besides starts.
-- ARGV: prefix, site, its text ('' of one that is gone), until when (Unix seconds) it is dealt with,
--   outcome ('' where there was nothing to do), reason
-- Gives until when it is dealt with now; that never goes back.
local site, times, until_when, outcome, reason = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local key = k_schedule(site)
if not is_handled(site, until_when) then
  if outcome ~= '' then handle_due(site, until_when, times, outcome, '', reason)
  else redis.call('HSET', key, 'handled', until_when) end
end
if outcome == '' then redis.call('HSET', key, 'times', times) end
redis.call('EXPIRE', key, SCHEDULE_SECONDS)
return redis.call('HGET', key, 'handled')

-- Claim one attempt at one item. Succeeds once; a copy of the message gets nothing.
-- ARGV: prefix, run, item, attempt, node
-- Gives nil, or {body, fruitless attempts, seconds since the first of them ended, run fields as a
-- flat list, what `note_elsewhere` in release.lua has noted: tries, seconds since the first, nodes,
-- attempts in a row whose worker died}.
local run, item, attempt, node = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key = k_run(run)
local state = redis.call('HGET', key, 'state')
local account = redis.call('HGET', key, 'account')
if not state or ended(state) then
  if account then leave_window(account, run, item, attempt) end
  return nil
end
if redis.call('HGET', k_part(run, 'attempts'), item) ~= attempt then return nil end
local body = redis.call('HGET', k_part(run, 'items'), item)
if not body then return nil end
if redis.call('HEXISTS', k_window(account), member_of(run, item, attempt)) == 0 then return nil end
if redis.call('HEXISTS', k_part(run, 'claims'), item) == 1 then return nil end
take(run, item, attempt, node)
touch_run(run)
local barren_since = redis.call('HGET', k_part(run, 'barren'), item)
local tries, since, nodes =
  string.match(redis.call('HGET', k_part(run, 'elsewhere'), item) or '', '^(%d+) (%S+) (.+)$')
return { body, redis.call('HGET', k_part(run, 'fruitless'), item) or '0',
  barren_since and tostring(now() - barren_since) or '0', redis.call('HGETALL', key),
  tries or '0', since and tostring(now() - since) or '0', nodes or '',
  redis.call('HGET', k_part(run, 'deaths'), item) or '0' }

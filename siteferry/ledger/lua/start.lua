-- Start a run, unless another one holds its target; for a schedule, each due time once.
-- ARGV: prefix, run, target, account, limit, plan body (JSON), fields (JSON object of the run hash),
--   and for a schedule: site, due (Unix seconds), its text, overlap (skip or queue)
-- Gives {1, [next members]}, {0, run that holds the target}, {2, ''}: the due time is dealt with, or
-- {3, ''}: it lies too far ahead, and nothing is done.
local run, target, account, limit, body = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local site, due, times, overlap = ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local known = redis.call('EXISTS', k_run(run)) == 1
if site and is_ahead(due) and not known then return { 3, '' } end
if site and is_handled(site, due) and not known then return { 2, '' } end
local holder = redis.call('GET', k_target(target))
if holder and redis.call('EXISTS', k_run(holder)) == 1 and holder ~= run then
  if site and not known then
    if overlap == 'skip' then
      handle_due(site, due, times, 'skipped', holder, '')
    else
      -- It is not dealt with: the next tick tries again.
      redis.call('HSET', k_schedule(site), 'waits', due, 'holder', holder)
      redis.call('EXPIRE', k_schedule(site), SCHEDULE_SECONDS)
    end
  end
  return { 0, holder }
end
if not known then
  if site then handle_due(site, due, times, 'started', run, '') end
  redis.call('SET', k_target(target), run)
  redis.call('ZADD', k_runs(), now(), run)
  redis.call('SADD', k_live(), run)
  for field, value in pairs(cjson.decode(ARGV[7])) do redis.call('HSET', k_run(run), field, value) end
  redis.call('HSET', k_run(run), 'state', 'queued', 'target', target, 'account', account,
    'created', now(), 'open', 0, 'failed', 0, 'transferred', 0, 'transferred_bytes', 0)
  redis.call('HSET', k_account(account), 'limit', limit)
  redis.call('EXPIRE', k_account(account), ACCOUNT_SECONDS)
  note_name(k_all_accounts(), account, ACCOUNT_SECONDS)
  drop_names(k_all_accounts(), ACCOUNT_SECONDS)
  drop_names(k_sites(), SITE_SECONDS)
  new_item(run, 'plan', body, false)
  touch_run(run)
  -- Those before it that have expired; what they were to be kept, each knew itself.
  for _, earlier in ipairs(redis.call('ZRANGEBYSCORE', k_runs(), '-inf', now() - keep_seconds(run))) do
    if redis.call('EXISTS', k_run(earlier)) == 0 then redis.call('ZREM', k_runs(), earlier) end
  end
end
return { 1, cjson.encode(fill(account, nil)) }

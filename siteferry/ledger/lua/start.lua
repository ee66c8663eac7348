-- Start a run, unless another one holds its target.
-- ARGV: prefix, run, target, account, limit, plan body (JSON), fields (JSON object of the run hash)
-- Gives {1, [next members]} or {0, run that holds the target}.
local run, target, account, limit, body = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local holder = redis.call('GET', k_target(target))
if holder and redis.call('EXISTS', k_run(holder)) == 1 and holder ~= run then
  return { 0, holder }
end
if redis.call('EXISTS', k_run(run)) == 0 then
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
return { 1, cjson.encode(fill(account, '')) }

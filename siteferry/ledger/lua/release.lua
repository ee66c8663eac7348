-- Give an item back for its next attempt, now or later.
-- ARGV: prefix, run, item, attempt, node, outcomes (JSON), delay seconds, error (JSON or ''),
--       blameless (1: the item is not at fault, the attempt does not count as fruitless)
-- Gives the next members (JSON), or nil when the attempt does not count any more.
local run, item, attempt, node = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key = k_run(run)
local account = redis.call('HGET', key, 'account')
if not account then return nil end
if ended(redis.call('HGET', key, 'state')) or not holds(run, item, attempt, node) then
  leave_window(account, run, item, attempt)
  return cjson.encode(fill(account, node))
end
local fresh = record(run, node, cjson.decode(ARGV[6]))
if ARGV[8] ~= '' then redis.call('HSET', key, 'last_error', ARGV[8]) end
local before = redis.call('HGET', k_part(run, 'fruitless'), item)
leave_window(account, run, item, attempt)
next_attempt(run, item, tonumber(ARGV[7]), fresh > 0)
if ARGV[9] == '1' then
  if before then redis.call('HSET', k_part(run, 'fruitless'), item, before)
  else redis.call('HDEL', k_part(run, 'fruitless'), item) end
end
return cjson.encode(fill(account, node))

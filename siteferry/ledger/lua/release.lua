-- Give an item back for its next attempt, now or later.
-- ARGV: prefix, run, item, attempt, node, outcomes (JSON), parts (JSON, see `keep_parts`),
--       delay seconds, error (JSON or ''), blameless (1: the item is not at fault, the attempt does
--       not count as fruitless), yielding (1: other runs of the account go first), progressed (1: it
--       has come further, which heartbeats may have told already)
-- Gives the next members (JSON), or nil when the attempt does not count any more.
local run, item, attempt, node = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key = k_run(run)
local account = redis.call('HGET', key, 'account')
if not account then return nil end
if ended(redis.call('HGET', key, 'state')) or not holds(run, item, attempt, node) then
  leave_window(account, run, item, attempt)
  return cjson.encode(fill(account, node))
end
local fresh = record(run, node, cjson.decode(ARGV[6])) + keep_parts(run, cjson.decode(ARGV[7]))
if ARGV[9] ~= '' then redis.call('HSET', key, 'last_error', ARGV[9]) end
leave_window(account, run, item, attempt)
local came = (fresh > 0 or ARGV[12] == '1') and 'fruitful' or ARGV[10] == '1' and 'blameless' or 'fruitless'
next_attempt(run, item, tonumber(ARGV[8]), came, ARGV[11] == '1' and 'yielding' or true)
return cjson.encode(fill(account, node))

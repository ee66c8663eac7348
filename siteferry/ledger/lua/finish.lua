-- Finish an item: record its last outcomes, add the items that follow from it, let the next one in.
-- A repeated call (its reply was lost) gets the same answer again.
-- ARGV: prefix, run, item, attempt, node, outcomes (JSON), children (JSON: {id, body, first}),
--       fields (JSON object: set in the run hash), counts (JSON object: added in the run hash),
--       queue (the node whose own queue may get the first of what may be sent, or ''), beside (what
--       that node has in hand apart from this item)
-- Gives nil when the attempt does not count any more, else the next members (JSON).
local run, item, attempt, node = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local finisher = finisher_of(ARGV[10], ARGV[11])
local key = k_run(run)
local account = redis.call('HGET', key, 'account')
if not account then return nil end
local replay = redis.call('HGET', k_part(run, 'replies'), item)
if replay then
  local said, text = string.match(replay, '^(%d+) (.*)$')
  if said == attempt then return text end
  return nil
end
if ended(redis.call('HGET', key, 'state')) then
  leave_window(account, run, item, attempt)
  return cjson.encode(fill(account, finisher))
end
-- Another node may have claimed this very attempt since: its place stays.
if not holds(run, item, attempt, node) then return cjson.encode(fill(account, finisher)) end
record(run, node, cjson.decode(ARGV[6]))
for field, value in pairs(cjson.decode(ARGV[8])) do redis.call('HSET', key, field, value) end
local counts = cjson.decode(ARGV[9])
for field, value in pairs(counts) do redis.call('HINCRBY', key, field, value) end
count(run, { skipped = counts.skipped or 0, adopted = counts.adopted or 0,
  adopted_bytes = counts.adopted_bytes or 0 })
for _, child in ipairs(cjson.decode(ARGV[7])) do
  new_item(run, child[1], child[2], child[3])
end
redis.call('HDEL', k_part(run, 'items'), item)
redis.call('HDEL', k_part(run, 'claims'), item)
redis.call('HINCRBY', key, 'open', -1)
leave_window(account, run, item, attempt)
advance(run)
local text = cjson.encode(fill(account, finisher))
redis.call('HSET', k_part(run, 'replies'), item, attempt .. ' ' .. text)
touch_run(run)
return text

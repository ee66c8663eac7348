-- Give an item back for its next attempt, now or later.
-- ARGV: prefix, run, item, attempt, node, outcomes (JSON), parts (JSON, see `keep_parts`),
--       delay seconds, error (JSON or ''), blameless (1: the item is not at fault, the attempt does
--       not count as fruitless), yielding (1: other runs of the account go first), progressed (1: it
--       has come further, which heartbeats may have told already),
--       queue (the node whose own queue may get the first of what may be sent, or ''), elsewhere (1:
--       the node does not have the website's sources), beside (see finish.lua)
-- Gives the next members (JSON), or nil when the attempt does not count any more.
local run, item, attempt, node = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local finisher = finisher_of(ARGV[13], ARGV[15])

-- Who in a row did not have the sources: "tries time-of-the-first node node ...".
local function note_elsewhere(came)
redis.call('HDEL', k_part(run, 'deaths'), item)
  local elsewhere = k_part(run, 'elsewhere')
  if ARGV[14] ~= '1' then
    redis.call('HDEL', elsewhere, item)
    return
  end
  local known = came ~= 'fruitful' and redis.call('HGET', elsewhere, item) or ''
  local tries, since, nodes = string.match(known, '^(%d+) (%S+) (.+)$')
  if not nodes then nodes = node
  elseif not string.find(' ' .. nodes .. ' ', ' ' .. node .. ' ', 1, true) then
    nodes = nodes .. ' ' .. node
  end
  redis.call('HSET', elsewhere, item, (tries or 0) + 1 .. ' ' .. (since or now()) .. ' ' .. nodes)
end

local key = k_run(run)
local account = redis.call('HGET', key, 'account')
if not account then return nil end
if ended(redis.call('HGET', key, 'state')) then
  leave_window(account, run, item, attempt)
  return cjson.encode(fill(account, finisher))
end
-- Another node may have claimed this very attempt since: its place stays.
if not holds(run, item, attempt, node) then return cjson.encode(fill(account, finisher)) end
local fresh = record(run, node, cjson.decode(ARGV[6])) + keep_parts(run, cjson.decode(ARGV[7]))
if ARGV[9] ~= '' then redis.call('HSET', key, 'last_error', ARGV[9]) end
leave_window(account, run, item, attempt)
local came = (fresh > 0 or ARGV[12] == '1') and 'fruitful' or ARGV[10] == '1' and 'blameless' or 'fruitless'
note_elsewhere(came)
-- Nothing was tried, for want of a connection or of the password: that is no retry.
local retry = ARGV[14] == '1' and 'elsewhere' or ARGV[9] ~= '' and ARGV[10] ~= '1' and 'error' or nil
next_attempt(run, item, tonumber(ARGV[8]), came, ARGV[11] == '1' and 'yielding' or true, retry)
-- Who lacks the sources would take what follows as well, one item after the other. The place is filled
-- when another one ends, or by the sweeper.
if ARGV[14] == '1' then return '[]' end
return cjson.encode(fill(account, finisher))

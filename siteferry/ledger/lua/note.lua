-- Write facts of a run that no item's end depends on, while it goes on. A run that is gone stays gone.
-- ARGV: prefix, run, fields (JSON object), once (1: only those that it does not have)
-- Gives how many of them are new, 0 also when there is no such run or it has ended.
local key = k_run(ARGV[2])
local state = redis.call('HGET', key, 'state')
if not state or ended(state) then return 0 end
local fresh = 0
for field, value in pairs(cjson.decode(ARGV[3])) do
  fresh = fresh + redis.call(ARGV[4] == '1' and 'HSETNX' or 'HSET', key, field, value)
end
return fresh

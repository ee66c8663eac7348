-- A heartbeat of one attempt, with the files it has finished since the last one, and what stands of
-- those that it has not.
-- ARGV: prefix, run, item, attempt, node, outcomes (JSON), parts (JSON, see `keep_parts`)
-- Gives 1, or 0 when the attempt does not count any more (stop writing).
local run, item, attempt, node = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
hear()
local state = redis.call('HGET', k_run(run), 'state')
if not state or ended(state) or not holds(run, item, attempt, node) then return 0 end
redis.call('ZADD', k_beats(), now(), member_of(run, item, attempt))
if record(run, node, cjson.decode(ARGV[6])) + keep_parts(run, cjson.decode(ARGV[7])) > 0 then
  clear_fruitless(run, item)
end
touch_run(run)
return 1

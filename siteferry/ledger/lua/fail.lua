-- End a run for a reason that no further file can change.
-- ARGV: prefix, run, state (failed, incomplete or cancelled), error (JSON or ''),
--       unless publishing (1: refuse once publishing has begun)
-- Gives nil when there is no such run or it has ended or is publishing, else an empty list (JSON):
-- a command that ends a run sends nothing. The sweeper, or the worker's own `release`, lets others in.
local run, state = ARGV[2], ARGV[3]
local key = k_run(run)
local current = redis.call('HGET', key, 'state')
if not current or ended(current) then return nil end
if ARGV[5] == '1' and current == 'publishing' then return nil end
if ARGV[4] ~= '' then redis.call('HSET', key, 'error', ARGV[4]) end
end_run(run, state)
return '[]'

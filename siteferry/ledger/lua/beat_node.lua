-- One heartbeat of a worker process: it lives, and so do the leases of its sessions.
-- ARGV: prefix, node, lease seconds, leases (JSON: {account, address, token, insist}), load (what it
--       has in hand; '': it has no thread to spare, or is not to be given more)
-- Gives the tokens of leases that are not there (JSON). Who frees a session while its heartbeat is on
-- its way must not get the lease back; but a Redis that has lost its last second must: the second
-- heartbeat in a row insists.
local t = now()
hear()
redis.call('ZADD', k_nodes(), t, ARGV[2])
if ARGV[5] == '' then redis.call('ZREM', k_loads(), ARGV[2])
else redis.call('ZADD', k_loads(), ARGV[5], ARGV[2]) end
local missing = {}
for _, lease in ipairs(cjson.decode(ARGV[4])) do
  if not redis.call('ZSCORE', k_slots_account(lease[1]), lease[3]) then
    if lease[4] then
      redis.call('ZADD', k_slots_account(lease[1]), t + ARGV[3], lease[3])
      redis.call('ZADD', k_slots_address(lease[2]), t + ARGV[3], lease[3])
      note_lease(lease[3], lease[1], lease[2])
    else
      missing[#missing + 1] = lease[3]
    end
  end
  for _, key in ipairs({ k_slots_account(lease[1]), k_slots_address(lease[2]),
    k_logins_account(lease[1]), k_logins_address(lease[2]) }) do
    redis.call('ZADD', key, 'XX', t + ARGV[3], lease[3])
  end
end
redis.call('EXPIRE', k_leases(ARGV[2]), LEASES_SECONDS)
return cjson.encode(missing)

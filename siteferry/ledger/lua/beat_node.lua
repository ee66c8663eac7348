-- One heartbeat of a worker process: it lives, and so do the leases of its sessions.
-- ARGV: prefix, node, lease seconds, leases (JSON: {account, address, token, insist})
-- Gives the tokens of leases that are not there (JSON). Who frees a session while its heartbeat is on
-- its way must not get the lease back; but a Redis that has lost its last second must: the second
-- heartbeat in a row insists.
local t = now()
redis.call('ZADD', k_nodes(), t, ARGV[2])
local missing = {}
for _, lease in ipairs(cjson.decode(ARGV[4])) do
  if not redis.call('ZSCORE', k_slots_account(lease[1]), lease[3]) then
    if lease[4] then
      redis.call('ZADD', k_slots_account(lease[1]), t + ARGV[3], lease[3])
      redis.call('ZADD', k_slots_address(lease[2]), t + ARGV[3], lease[3])
    else
      missing[#missing + 1] = lease[3]
    end
  end
  for _, key in ipairs({ k_slots_account(lease[1]), k_slots_address(lease[2]),
    k_logins_account(lease[1]), k_logins_address(lease[2]) }) do
    redis.call('ZADD', key, 'XX', t + ARGV[3], lease[3])
  end
end
return cjson.encode(missing)

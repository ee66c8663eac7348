-- One heartbeat of a worker process: it lives, and so do the leases of its sessions.
-- ARGV: prefix, node, lease seconds, leases (JSON: {account, address, token})
local t = now()
redis.call('ZADD', k_nodes(), t, ARGV[2])
for _, lease in ipairs(cjson.decode(ARGV[4])) do
  redis.call('ZADD', k_slots_account(lease[1]), 'XX', t + ARGV[3], lease[3])
  redis.call('ZADD', k_slots_address(lease[2]), 'XX', t + ARGV[3], lease[3])
end
redis.call('EXPIRE', k_leases(ARGV[2]), LEASES_SECONDS)
return 1

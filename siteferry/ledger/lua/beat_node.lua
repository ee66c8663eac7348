-- One heartbeat of a worker process: it lives, and so do the leases of its sessions.
-- ARGV: prefix, node, lease seconds, leases (JSON: {account, address, token})
local t = now()
redis.call('ZADD', k_nodes(), t, ARGV[2])
for _, lease in ipairs(cjson.decode(ARGV[4])) do
  for _, key in ipairs({ k_slots_account(lease[1]), k_slots_address(lease[2]),
    k_logins_account(lease[1]), k_logins_address(lease[2]) }) do
    redis.call('ZADD', key, 'XX', t + ARGV[3], lease[3])
  end
end
return 1

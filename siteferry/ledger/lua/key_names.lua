-- For the test that compares these names with keys.py. ARGV: prefix
local out = { k_runs(), k_run('R'), k_account('A'), k_window('A'), k_turns('A'), k_beats(),
  k_delayed(), k_slots_account('A'), k_slots_address('I'), k_wanted_account('A'), k_wanted_address('I'),
  k_logins_account('A'), k_logins_address('I'), k_limits_account('A'), k_limits_address('I'),
  k_accounts('I'), k_connects('I'), k_target('T'), k_nodes(), k_loads(), k_settling(), k_heard(),
  k_sweeper(), k_live(), k_profile('A'),
  k_stopped('A'), k_left('T'), k_swept('T'), k_leases('N'), k_stops(),
  k_totals(), k_all_accounts(), k_sites(), k_site('S'), k_schedule('S') }
for _, part in ipairs(RUN_PARTS) do out[#out + 1] = k_part('R', part) end
return out

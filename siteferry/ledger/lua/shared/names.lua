-- All files of this folder stand in front of every script, this one first. Names of keys (the same as
-- in keys.py; a test compares the two). ARGV[1] is always the key prefix.
-- Time is Redis' own, in seconds with fractions, so that no worker's clock matters.

local prefix = ARGV[1]
local LIVE_SECONDS = 30 * 24 * 3600
local ACCOUNT_SECONDS = 90 * 24 * 3600
local SCHEDULE_SECONDS = 90 * 24 * 3600
local AHEAD_SECONDS = 600
local PLANNED_SECONDS = 3600
local LEASES_SECONDS = 60
local SITE_SECONDS = 400 * 24 * 3600
local TRIED_AGAIN_SECONDS = 60
local LONGEST_TRIED_AGAIN_SECONDS = 3600
local TURN_SECONDS = 10
local BACKLOG_SECONDS = 600
local LEASE_SECONDS = 5
local HEARD_SECONDS = 2.5
local HEARD_KEPT_SECONDS = 24 * 3600
local SETTLING_SECONDS = 60

local function k_runs() return prefix .. 'runs' end
local function k_live() return prefix .. 'live' end
local function k_run(run) return prefix .. 'run:' .. run end
local function k_part(run, part) return prefix .. 'run:' .. run .. ':' .. part end
local function k_account(account) return prefix .. 'account:' .. account end
local function k_profile(account) return prefix .. 'account:' .. account .. ':profile' end
local function k_stopped(account) return prefix .. 'account:' .. account .. ':stopped' end
local function k_window(account) return prefix .. 'account:' .. account .. ':window' end
local function k_turns(account) return prefix .. 'account:' .. account .. ':turns' end
local function k_beats() return prefix .. 'beats' end
local function k_delayed() return prefix .. 'delayed' end
local function k_slots_account(account) return prefix .. 'slots:account:' .. account end
local function k_slots_address(address) return prefix .. 'slots:address:' .. address end
local function k_logins_account(account) return prefix .. 'logins:account:' .. account end
local function k_logins_address(address) return prefix .. 'logins:address:' .. address end
local function k_limits_account(account) return prefix .. 'limits:account:' .. account end
local function k_limits_address(address) return prefix .. 'limits:address:' .. address end
local function k_wanted_account(account) return prefix .. 'wanted:account:' .. account end
local function k_wanted_address(address) return prefix .. 'wanted:address:' .. address end
local function k_accounts(address) return prefix .. 'address:' .. address .. ':accounts' end
local function k_connects(address) return prefix .. 'address:' .. address .. ':connects' end
local function k_target(target) return prefix .. 'target:' .. target end
local function k_left(target) return prefix .. 'target:' .. target .. ':left' end
local function k_swept(target) return prefix .. 'target:' .. target .. ':swept' end
local function k_stops() return prefix .. 'stops' end
local function k_nodes() return prefix .. 'nodes' end
local function k_settling() return prefix .. 'settling' end
local function k_heard() return prefix .. 'heard' end
local function k_loads() return prefix .. 'loads' end
local function k_leases(node) return prefix .. 'node:' .. node .. ':leases' end
local function k_sweeper() return prefix .. 'sweeper' end
local function k_totals() return prefix .. 'totals' end
local function k_all_accounts() return prefix .. 'accounts' end
local function k_sites() return prefix .. 'sites' end
local function k_site(site) return prefix .. 'site:' .. site end
local function k_schedule(site) return prefix .. 'schedule:' .. site end

local RUN_PARTS = { 'items', 'attempts', 'fruitless', 'barren', 'claims', 'replies', 'waiting', 'parts',
  'outcomes', 'failures', 'workers', 'previous', 'tree', 'warnings', 'staged', 'extras', 'planned',
  'elsewhere', 'deaths' }

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1000000
end

local function member_of(run, item, attempt) return run .. ' ' .. item .. ' ' .. attempt end

local function split_member(member)
  local run, item, attempt = string.match(member, '^(%S+) (%S+) (%d+)$')
  return run, item, attempt
end

local function ended(state)
  return state == 'done' or state == 'incomplete' or state == 'failed' or state == 'cancelled'
end

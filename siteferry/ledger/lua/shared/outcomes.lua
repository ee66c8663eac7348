-- What became of files.

-- A file is done, so what stood of it counts no more by itself.
local function drop_part(run, path)
  local known = redis.call('HGET', k_part(run, 'parts'), path)
  if known then
    redis.call('HDEL', k_part(run, 'parts'), path)
    -- Not -x: Redis before 7.2 takes Lua's -0 for no integer.
    redis.call('HINCRBY', k_run(run), 'part_bytes', 0 - cjson.decode(known)[3])
  end
end

-- Record file outcomes, each path once: {path, status, json, bytes}. Gives how many were new.
local function record(run, node, outcomes)
  local key = k_run(run)
  local fresh, arrived, arrived_bytes = 0, 0, 0
  for _, o in ipairs(outcomes) do
    local path, status, json, bytes = o[1], o[2], o[3], o[4]
    if status == 'transferred' then
      if redis.call('HSETNX', k_part(run, 'outcomes'), path, json) == 1 then
        fresh, arrived, arrived_bytes = fresh + 1, arrived + 1, arrived_bytes + bytes
        redis.call('HINCRBY', key, 'transferred', 1)
        redis.call('HINCRBY', key, 'transferred_bytes', bytes)
        redis.call('HINCRBY', k_part(run, 'workers'), node, 1)
        drop_part(run, path)
        if redis.call('HDEL', k_part(run, 'failures'), path) == 1 then
          redis.call('HINCRBY', key, 'failed', -1)
        end
      end
    elseif status == 'unpublished' then
      if redis.call('HDEL', k_part(run, 'outcomes'), path) == 1 then
        redis.call('HINCRBY', key, 'transferred', -1)
        redis.call('HINCRBY', key, 'transferred_bytes', 0 - bytes)
      end
      if redis.call('HSETNX', k_part(run, 'failures'), path, json) == 1 then
        fresh = fresh + 1
        redis.call('HINCRBY', key, 'failed', 1)
      end
    elseif redis.call('HEXISTS', k_part(run, 'outcomes'), path) == 0
        and redis.call('HSETNX', k_part(run, 'failures'), path, json) == 1 then
      fresh = fresh + 1
      redis.call('HINCRBY', key, 'failed', 1)
    end
  end
  if arrived > 0 then count(run, { transferred = arrived, transferred_bytes = arrived_bytes }) end
  return fresh
end

-- Keep what stands of unfinished files: {path, remote name, size, offset, sha256, ended} each; the
-- furthest offset that there ever was is kept with it. Gives how many of them are beyond that.
local function keep_parts(run, parts)
  local further = 0
  for _, part in ipairs(parts) do
    local path = table.remove(part, 1)
    if redis.call('HEXISTS', k_part(run, 'outcomes'), path) == 0 then
      local text = redis.call('HGET', k_part(run, 'parts'), path)
      local known = text and cjson.decode(text) or { '', 0, 0, '', false, 0 }
      if part[3] > known[6] then further = further + 1 end
      part[6] = math.max(part[3], known[6])
      redis.call('HINCRBY', k_run(run), 'part_bytes', part[3] - known[3])
      redis.call('HSET', k_part(run, 'parts'), path, cjson.encode(part))
    end
  end
  return further
end

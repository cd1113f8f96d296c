import { script, type Script } from "./script.ts";
import { SHARD } from "./statements.ts";

/**
 * The Lua of workers and leases. A group's keys are in one slot: a hash with the revision and the workers, and a hash
 * with the lineage of each shard that has a lease's row. A lease's epoch and owner are in the shard's companion key, in
 * the slot of its checkpoint, so that a write can compare them. The store composes operations that span slots from
 * steps, each of which is safe by itself.
 */

/**
 * KEYS: the group's hash, whose name is also the channel of its hints; the lineages. The group's field `r:{shard}` is the
 * mark of a removal in progress. Each script writes, if only by PERSIST, so that a replica refuses it. A hint that the
 * user may not publish is dropped.
 */
const GROUP = `
local function revision()
  return redis.call('HGET', KEYS[1], 'revision') or '0'
end

local function raiseRevision(hinted)
  local now = tostring(redis.call('HINCRBY', KEYS[1], 'revision', 1))
  if hinted then redis.pcall('PUBLISH', KEYS[1], now) end
  return now
end

local function answer(reply)
  redis.call('PERSIST', KEYS[1])
  redis.call('PERSIST', KEYS[2])
  return reply
end

local function isThere(id, incarnation)
  return redis.call('HGET', KEYS[1], 'i:' .. id) == incarnation
end

local function remove(id)
  redis.call('HDEL', KEYS[1], 'i:' .. id, 'c:' .. id, 'w:' .. id, 'm:' .. id)
  raiseRevision(true)
end
`;

/** ARGV: id, incarnation, weight, maximum of shards ('' for none). */
export const JOIN: Script = script(
  GROUP,
  `
local id, incarnation = ARGV[1], ARGV[2]
local existing = redis.call('HGET', KEYS[1], 'i:' .. id)
if existing and existing ~= incarnation then return answer({'duplicate', existing}) end
if existing then return answer({'joined', revision()}) end
redis.call('HSET', KEYS[1], 'i:' .. id, incarnation, 'c:' .. id, '0', 'w:' .. id, ARGV[3], 'm:' .. id, ARGV[4])
return answer({'joined', raiseRevision(true)})`,
);

/** ARGV: id, incarnation. */
export const HEARTBEAT: Script = script(
  GROUP,
  `
if not isThere(ARGV[1], ARGV[2]) then return answer({'evicted'}) end
local counter = redis.call('HINCRBY', KEYS[1], 'c:' .. ARGV[1], 1)
return answer({'alive', tostring(counter), revision()})`,
);

/** Returns all fields of the group's hash with their values. */
export const READ_GROUP: Script = script(GROUP, "return answer(redis.call('HGETALL', KEYS[1]))");

/** ARGV: id, incarnation, counter. */
export const EVICT: Script = script(
  GROUP,
  `
if not isThere(ARGV[1], ARGV[2]) then return answer({'gone'}) end
if redis.call('HGET', KEYS[1], 'c:' .. ARGV[1]) ~= ARGV[3] then return answer({'moved'}) end
remove(ARGV[1])
return answer({'evicted'})`,
);

/** ARGV: id, incarnation. */
export const LEAVE: Script = script(
  GROUP,
  `
if isThere(ARGV[1], ARGV[2]) then remove(ARGV[1]) end
return answer({})`,
);

/** ARGV, for each shard: its id, the lineage, and '=' with the lineage to be replaced ('' for none). */
export const PUT_LINEAGES: Script = script(
  GROUP,
  `
local new = false
for i = 1, #ARGV, 3 do
  local existing = redis.call('HGET', KEYS[2], ARGV[i])
  if (existing and '=' .. existing or '') == ARGV[i + 2] then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
    new = true
  end
end
if new then raiseRevision(true) end
return answer({})`,
);

/** Returns the revision, then alternating shards and lineages. */
export const READ_LINEAGES: Script = script(
  GROUP,
  `
local reply = redis.call('HGETALL', KEYS[2])
table.insert(reply, 1, revision())
return answer(reply)`,
);

/**
 * ARGV: shards. Returns for each '1' if it has a lineage, 'removing' if that is marked as being removed, or '' if it has
 * none.
 */
export const HAVE_LINEAGES: Script = script(
  GROUP,
  `
local reply = {}
for i = 1, #ARGV do
  reply[i] = ''
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 1 then
    reply[i] = redis.call('HEXISTS', KEYS[1], 'r:' .. ARGV[i]) == 1 and 'removing' or '1'
  end
end
return answer(reply)`,
);

/** Marks lineages as being removed; it replaces another removal's mark. ARGV: the removal's name, shards. */
export const NOTE_REMOVAL: Script = script(
  GROUP,
  `
for i = 2, #ARGV do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 1 then
    redis.call('HSET', KEYS[1], 'r:' .. ARGV[i], ARGV[1])
  end
end
return answer({})`,
);

/**
 * Ends a removal: deletes its marks, and the lineages of removed shards. If its mark no longer exists, another removal
 * has ended since, and the lineage belongs to a new row. ARGV: the removal's name, then for each shard its id and '1' if
 * it was removed.
 */
export const END_REMOVAL: Script = script(
  GROUP,
  `
local removed = 0
for i = 2, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], 'r:' .. ARGV[i]) == ARGV[1] then
    redis.call('HDEL', KEYS[1], 'r:' .. ARGV[i])
    if ARGV[i + 1] == '1' then removed = removed + redis.call('HDEL', KEYS[2], ARGV[i]) end
  end
end
if removed > 0 then raiseRevision(true) end
return answer({})`,
);

/** Raises the revision after leases have changed in their shards' slots. ARGV: '1' to send a hint. */
export const RAISE_REVISION: Script = script(
  GROUP,
  "return answer({raiseRevision(ARGV[1] == '1')})",
);

/** ARGV: the epoch and owner that were read ('' for none), an owner that is known to be gone; the new owner. */
export const ACQUIRE_LEASE: Script = script(
  SHARD,
  `
local shard = read()
if shard.epoch ~= ARGV[1] or shard.owner ~= ARGV[2] then return answer('held', shard) end
redis.call('HSET', KEYS[2], 'owner', ARGV[3])
shard.owner = ARGV[3]
shard.epoch = tostring(redis.call('HINCRBY', KEYS[2], 'epoch', 1))
restore(shard)
return answer('claimed', shard)`,
);

/** ARGV: the fence's epoch and owner. */
export const RELEASE_LEASE: Script = script(
  SHARD,
  `
local shard = read()
if shard.epoch ~= ARGV[1] or shard.owner ~= ARGV[2] then return answer('held', shard) end
redis.call('HDEL', KEYS[2], 'owner')
shard.owner = ''
return answer('released', shard)`,
);

/**
 * ARGV: the epoch and owner that were read; how long to keep the epoch, in seconds; the removal's name. The next epoch
 * is kept for a while, so that a store that has seen the shard takes it for removed and not for lost.
 */
export const REMOVE_SHARD: Script = script(
  SHARD,
  `
local shard = read()
if shard.epoch ~= ARGV[1] or shard.owner ~= ARGV[2] then return answer('held', shard) end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[2], 'epoch', tonumber(shard.epoch) + 1, 'gone', ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return answer('removed', read())`,
);

import { script, type Script } from "./script.ts";

/**
 * KEYS: the checkpoint, which is Go's key, and its companion, which is ours. The companion's `at` is the number that its
 * sub-sequence number and its shard end belong to. They are invalid if Go has written another number. If the
 * checkpoint's key no longer exists (evicted, expired, deleted by hand), `at` is the number. For a position inside an
 * aggregate, Go's key has the last whole record, which is `whole` in the companion; the aggregate is `inside`, and `at`
 * is empty. So Go, and earlier versions of this package, read it as the position of that record. The companion also has
 * the shard's lease.
 *
 * Each script writes, if only by PERSIST, so that a server that has become a replica refuses it instead of returning
 * stale data. PERSIST only removes a time to live, and only removed shards have one. It comes last, because after a
 * script's first write Redis ignores its maxmemory. Numbers are texts throughout: doubles, or the server's collation,
 * would compare them wrongly. An empty text means that a value is absent.
 */
export const SHARD = `
local function read()
  local number = redis.call('GET', KEYS[1])
  local beside = redis.call('HMGET', KEYS[2],
    'at', 'sub', 'end', 'epoch', 'owner', 'gone', 'ahead', 'inside', 'whole')
  local whole = beside[9] or ''
  local ours
  -- A reset by an earlier version clears the sub-sequence number and leaves 'inside' and 'whole'.
  if beside[1] == '' and (beside[2] or '') ~= '' and whole ~= '' and (number or whole) == whole then
    number, ours = beside[8], true
  else
    number, whole = number or beside[1] or '', ''
    ours = beside[1] == number
  end
  local sub = ours and beside[2] or ''
  -- Versions that do not know 'ahead' leave it beside another position.
  local position = number .. (sub ~= '' and '.' .. sub or '') .. ':'
  local ahead = ours and beside[7] or ''
  if string.sub(ahead, 1, #position) ~= position then ahead = '' end
  return {
    number = number,
    whole = whole,
    sub = sub,
    ended = ours and beside[3] or '',
    ahead = ahead,
    byGo = (ours or number == '') and '' or '1',
    epoch = beside[4] or '0',
    owner = beside[5] or '',
    gone = beside[6] or '',
  }
end

local function replyOf(outcome, shard)
  return {outcome, shard.number, shard.sub, shard.ended, shard.epoch, shard.owner, shard.byGo, shard.gone, shard.ahead, shard.whole}
end

-- The reply for a shard that was not written.
local function answer(outcome, shard)
  redis.call('PERSIST', KEYS[1])
  if shard.gone == '' then redis.call('PERSIST', KEYS[2]) end
  return replyOf(outcome, shard)
end

local function isNumber(text)
  return text == '0' or (#text <= 128 and string.find(text, '^[1-9]%d*$') ~= nil)
end

local function compareNumbers(a, b)
  if #a ~= #b then return #a - #b end
  for i = 1, #a do
    local difference = string.byte(a, i) - string.byte(b, i)
    if difference ~= 0 then return difference end
  end
  return 0
end

local function compareBytes(a, b)
  for i = 1, math.min(#a, #b) do
    local difference = string.byte(a, i) - string.byte(b, i)
    if difference ~= 0 then return difference end
  end
  return #a - #b
end

-- A shard's end comes last, and a whole record after its user records. Equal positions compare by 'ahead'.
local function compare(a, b)
  if a.ended ~= b.ended then return a.ended == '1' and 1 or -1 end
  if a.ended == '1' then return 0 end
  local order = compareNumbers(a.number, b.number)
  if order ~= 0 then return order end
  if a.sub == b.sub then return compareBytes(a.ahead, b.ahead) end
  if a.sub == '' then return 1 end
  if b.sub == '' then return -1 end
  return compareNumbers(a.sub, b.sub)
end

-- True if the shard's state is lower than the caller has seen. A reset may go back too, but raises the epoch.
local function hasRegressed(shard, seen)
  if seen.epoch == '' then return false end
  local epochs = tonumber(shard.epoch) - tonumber(seen.epoch)
  return epochs < 0 or (epochs == 0 and compare(shard, seen) < 0)
end

-- Makes a removed shard exist again.
local function restore(shard)
  if shard.gone ~= '' then redis.call('HDEL', KEYS[2], 'gone') end
  redis.call('PERSIST', KEYS[2])
  shard.gone = ''
end

local function write(shard, to)
  if to.ended == '1' and to.number == '' then
    -- Go's key must hold a number: its last one, or one before all others.
    to.number = isNumber(shard.number) and shard.number or '0'
  end
  local inside, at, whole = '', to.number, ''
  if to.sub ~= '' then inside, at, whole = to.number, '', to.whole end
  if to.number == '' then
    redis.call('DEL', KEYS[1])
  else
    redis.call('SET', KEYS[1], inside == '' and at or whole)
  end
  redis.call('HSET', KEYS[2], 'at', at, 'inside', inside, 'whole', whole,
    'sub', to.sub, 'end', to.ended, 'ahead', to.ahead)
  restore(shard)
  shard.number, shard.sub, shard.ended, shard.ahead = to.number, to.sub, to.ended, to.ahead
  shard.whole = whole
  shard.byGo = ''
end
`;

/**
 * ARGV: the state that the caller has seen: number, sub-sequence number, end, `ahead`, last whole record, and epoch ('' if
 * it has seen nothing).
 */
export const READ_SHARD: Script = script(
  SHARD,
  `
local shard = read()
local seen = {number = ARGV[1], sub = ARGV[2], ended = ARGV[3], ahead = ARGV[4], epoch = ARGV[6]}
return answer(hasRegressed(shard, seen) and 'regressed' or 'read', shard)`,
);

/**
 * Refuses invalid writes. ARGV: as in READ_SHARD; then the checkpoint; then its fence; then the removal after which the
 * caller has listed the shard again ('' for none), because a removal unlists its shards.
 */
const WRITE = `
local shard = read()
local seen = {number = ARGV[1], sub = ARGV[2], ended = ARGV[3], ahead = ARGV[4], epoch = ARGV[6]}
local to = {number = ARGV[7], sub = ARGV[8], ended = ARGV[9], ahead = ARGV[10], whole = ARGV[11]}
local epoch, owner = ARGV[12], ARGV[13]
if hasRegressed(shard, seen) then return answer('regressed', shard) end
if owner ~= shard.owner or (owner ~= '' and epoch ~= shard.epoch) then
  return answer('lease-lost', shard)
end
if shard.gone ~= ARGV[14] and shard.gone ~= '' then return answer('gone', shard) end
if shard.number ~= '' and not isNumber(shard.number) then return answer('corrupt', shard) end
`;

/** Moves a checkpoint forward, unless the stored one is equal or later. ARGV: as in WRITE. */
export const ADVANCE_SHARD: Script = script(
  SHARD,
  WRITE,
  `
if shard.number ~= '' then
  local order = compare(to, shard)
  if order == 0 then return answer('same', shard) end
  if order < 0 then return answer('behind', shard) end
end
write(shard, to)
return replyOf('written', shard)`,
);

/**
 * Runs a handler's commands and moves the checkpoint, if the stored one lies before `from` and not before `after`.
 * KEYS from the third on: each command's key. ARGV: as in WRITE; then `from` as number and sub-sequence number; then
 * `after` in the same form ('' if nothing needs to be stored); then for each command its name, the number of its values,
 * and the values. The HINCRBY by 0 makes a first write of ours: if the server accepts no writes (a replica, no memory
 * left), the script fails before a handler's command runs.
 */
export const TRANSACT_SHARD: Script = script(
  SHARD,
  WRITE,
  `
local from = {number = ARGV[15], sub = ARGV[16], ended = '', ahead = ''}
if shard.number ~= '' and compare(from, shard) <= 0 then return answer('already-done', shard) end
local after = {number = ARGV[17], sub = ARGV[18], ended = '', ahead = ''}
if after.number ~= '' and (shard.number == '' or compare(after, shard) > 0) then
  return answer('behind', shard)
end
redis.call('HINCRBY', KEYS[2], 'epoch', 0)
local place = 19
for i = 3, #KEYS do
  local name, last = ARGV[place], place + 1 + tonumber(ARGV[place + 1])
  local reply = redis.pcall(name, KEYS[i], unpack(ARGV, place + 2, last))
  if type(reply) == 'table' and reply.err then
    return {'failed', tostring(i - 2), name, reply.err}
  end
  place = last + 1
end
write(shard, to)
return replyOf('written', shard)`,
);

/** ARGV: the new checkpoint, all empty for none; '1' to take the lease from the shard's owner. */
export const RESET_SHARD: Script = script(
  SHARD,
  `
local shard = read()
local to = {number = ARGV[1], sub = ARGV[2], ended = ARGV[3], ahead = ARGV[4], whole = ARGV[5]}
if shard.owner ~= '' and ARGV[6] ~= '1' then return answer('lease-lost', shard) end
write(shard, to)
shard.epoch = tostring(redis.call('HINCRBY', KEYS[2], 'epoch', 1))
redis.call('HDEL', KEYS[2], 'owner')
shard.owner = ''
return replyOf('reset', shard)`,
);

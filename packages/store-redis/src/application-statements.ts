import { script, type Script } from "./script.ts";

/** KEYS: the application's hash. ARGV: its row as the caller has seen it; '' if it has not. */
const APPLICATION = `
local row = redis.call('HGET', KEYS[1], 'row') or ''

local function answer(outcome)
  redis.call('PERSIST', KEYS[1])
  return {outcome, row}
end

if ARGV[1] ~= '' and row ~= ARGV[1] then return answer('regressed') end
`;

/** Stores the row ARGV[2] unless there is one. */
export const OPEN_APPLICATION: Script = script(
  APPLICATION,
  `
if row ~= '' then return answer('existing') end
redis.call('HSET', KEYS[1], 'row', ARGV[2])
row = ARGV[2]
return answer('created')`,
);

/** Returns the row, '1' if the Go library's checkpoints have been searched for, and the listed shards. */
export const READ_APPLICATION: Script = script(
  APPLICATION,
  `
local found = answer('read')
found[3] = redis.call('HGET', KEYS[1], 'searched') or ''
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 6) == 'shard:' then found[#found + 1] = string.sub(field, 7) end
end
return found`,
);

/** Lists shards, from ARGV[3] on, before they get a checkpoint. ARGV[2]: '1' after a search for Go's checkpoints. */
export const ADD_SHARDS: Script = script(
  APPLICATION,
  `
if ARGV[2] == '1' then redis.call('HSET', KEYS[1], 'searched', '1') end
for i = 3, #ARGV do redis.call('HSET', KEYS[1], 'shard:' .. ARGV[i], '') end
return answer('added')`,
);

/** Marks listed shards, from ARGV[3] on, as being removed by the removal ARGV[2]. */
export const NOTE_REMOVALS: Script = script(
  APPLICATION,
  `
for i = 3, #ARGV do
  local name = 'shard:' .. ARGV[i]
  if redis.call('HEXISTS', KEYS[1], name) == 1 then redis.call('HSET', KEYS[1], name, ARGV[2]) end
end
return answer('noted')`,
);

/** Unlists shards, from ARGV[3] on, that the removal ARGV[2] has removed, unless they were listed again since. */
export const UNLIST_SHARDS: Script = script(
  APPLICATION,
  `
for i = 3, #ARGV do
  local name = 'shard:' .. ARGV[i]
  if redis.call('HGET', KEYS[1], name) == ARGV[2] then redis.call('HDEL', KEYS[1], name) end
end
return answer('removed')`,
);

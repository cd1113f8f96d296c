import { script, type Script } from "./script.ts";

/** KEYS: the application's hash. ARGV: its row as the caller has seen it, '' = not at all. */
const APPLICATION = `
local row = redis.call('HGET', KEYS[1], 'row') or ''

local function answer(outcome)
  redis.call('PERSIST', KEYS[1])
  return {outcome, row}
end

if ARGV[1] ~= '' and row ~= ARGV[1] then return answer('regressed') end
`;

/** Puts the row of ARGV[2] unless there is one. */
export const OPEN_APPLICATION: Script = script(
  APPLICATION,
  `
if row ~= '' then return answer('existing') end
redis.call('HSET', KEYS[1], 'row', ARGV[2])
row = ARGV[2]
return answer('created')`,
);

/** The row, '1' if Go's checkpoints have been looked for, and the shards. */
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

/** Notes shards, from ARGV[3] on, before they get a checkpoint. ARGV[2]: '1' = Go's are among them. */
export const ADD_SHARDS: Script = script(
  APPLICATION,
  `
if ARGV[2] == '1' then redis.call('HSET', KEYS[1], 'searched', '1') end
for i = 3, #ARGV do redis.call('HSET', KEYS[1], 'shard:' .. ARGV[i], '') end
return answer('added')`,
);

/** Notes beside the names of shards, from ARGV[3] on, that the removal of ARGV[2] is under way. */
export const NOTE_REMOVALS: Script = script(
  APPLICATION,
  `
for i = 3, #ARGV do
  local name = 'shard:' .. ARGV[i]
  if redis.call('HEXISTS', KEYS[1], name) == 1 then redis.call('HSET', KEYS[1], name, ARGV[2]) end
end
return answer('noted')`,
);

/** Forgets shards, from ARGV[3] on, that ARGV[2] has removed, unless they were noted again since. */
export const UNLIST_SHARDS: Script = script(
  APPLICATION,
  `
for i = 3, #ARGV do
  local name = 'shard:' .. ARGV[i]
  if redis.call('HGET', KEYS[1], name) == ARGV[2] then redis.call('HDEL', KEYS[1], name) end
end
return answer('removed')`,
);

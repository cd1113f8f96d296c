import { script, type Script } from "./script.ts";

/**
 * KEYS: hashes, by id, of the letters, their data and their applications; a sorted set of the ids, and one of
 * `{application}\0{id}`. Names of applications contain no control characters. Scripts that read also write, by PERSIST,
 * so that a server that has become a replica refuses them.
 */
const APPEND = `
local function append(found, id)
  local letter = redis.call('HGET', KEYS[1], id)
  if not letter then return end
  local data = redis.call('HGET', KEYS[2], id)
  found[#found + 1] = id
  found[#found + 1] = letter
  found[#found + 1] = data and '1' or ''
  found[#found + 1] = data or ''
end`;

/** ARGV: id, application, letter, '1' if it has data, the data. */
export const PUT_LETTER: Script = script(`
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if ARGV[4] == '1' then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[5])
else
  redis.call('HDEL', KEYS[2], ARGV[1])
end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[4], 0, ARGV[1])
redis.call('ZADD', KEYS[5], 0, ARGV[2] .. '\\0' .. ARGV[1])
return {'put'}`);

/** ARGV: application ('' for all), the id after which the page begins, the page's size. */
export const PAGE_OF_LETTERS: Script = script(
  APPEND,
  `
local base, key, last = '', KEYS[4], '+'
if ARGV[1] ~= '' then
  base, key, last = ARGV[1] .. '\\0', KEYS[5], '(' .. ARGV[1] .. '\\1'
end
local members = redis.call('ZRANGEBYLEX', key, '(' .. base .. ARGV[2], last, 'LIMIT', 0, ARGV[3])
local found = {}
for _, member in ipairs(members) do append(found, string.sub(member, #base + 1)) end
redis.call('PERSIST', KEYS[1])
return found`,
);

/** ARGV: the id. */
export const READ_LETTER: Script = script(
  APPEND,
  `
local found = {}
append(found, ARGV[1])
redis.call('PERSIST', KEYS[1])
return found`,
);

/** ARGV: the ids. */
export const REMOVE_LETTERS: Script = script(`
for _, id in ipairs(ARGV) do
  local application = redis.call('HGET', KEYS[3], id)
  if application then redis.call('ZREM', KEYS[5], application .. '\\0' .. id) end
  redis.call('ZREM', KEYS[4], id)
  for i = 1, 3 do redis.call('HDEL', KEYS[i], id) end
end
return {'removed'}`);

import { StoreError } from "@kc/core";

/**
 * What a script answers: a list of texts.
 * @throws StoreError STORE_FAILED if the process has altered the reply
 */
export function textsOf(reply: unknown): readonly string[] {
  return listOf(reply, "EVALSHA").map(String);
}

/** A hash, which comes as field, value, field, value. */
export function pairsOf(texts: readonly string[]): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  for (let index = 0; index < texts.length; index += 2) pairs.set(texts[index]!, texts[index + 1]!);
  return pairs;
}

/** The next cursor and the keys that a SCAN found. @throws as `textsOf` does */
export function scanPageOf(reply: unknown): {
  readonly cursor: string;
  readonly keys: readonly string[];
} {
  const [cursor, keys] = listOf(reply, "SCAN");
  return { cursor: String(cursor), keys: listOf(keys, "SCAN").map(String) };
}

/** `ioredis` lets a program replace replies, and commands, for all of its clients. */
function listOf(reply: unknown, command: string): readonly unknown[] {
  if (Array.isArray(reply)) return reply;
  throw new StoreError(
    "STORE_FAILED",
    `Redis: the reply to ${command} is not the server's: this program alters it by ` +
      "Command.setReplyTransformer, or the client has a script of that name. Leave EVALSHA, EVAL " +
      "and SCAN as they are",
  );
}

import { StoreError } from "@kc/core";

/**
 * The texts of a script's reply.
 * @throws StoreError STORE_FAILED if the program alters replies
 */
export function textsOf(reply: unknown): readonly string[] {
  return listOf(reply, "EVALSHA").map(String);
}

/** A hash, which is sent as alternating fields and values. */
export function pairsOf(texts: readonly string[]): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  for (let index = 0; index < texts.length; index += 2) pairs.set(texts[index]!, texts[index + 1]!);
  return pairs;
}

/** The next cursor and the found keys of a SCAN. @throws as `textsOf` does */
export function scanPageOf(reply: unknown): {
  readonly cursor: string;
  readonly keys: readonly string[];
} {
  const [cursor, keys] = listOf(reply, "SCAN");
  return { cursor: String(cursor), keys: listOf(keys, "SCAN").map(String) };
}

/** `ioredis` lets a program transform the replies and commands of all its clients. */
function listOf(reply: unknown, command: string): readonly unknown[] {
  if (Array.isArray(reply)) return reply;
  throw new StoreError(
    "STORE_FAILED",
    `Redis: the reply to ${command} is not the server's: this program alters it by ` +
      "Command.setReplyTransformer, or the client has a script of that name. Leave EVALSHA, EVAL " +
      "and SCAN as they are",
  );
}

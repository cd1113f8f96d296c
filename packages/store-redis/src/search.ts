import type { Connection } from "./connection.ts";
import type { ApplicationKeys } from "./keys.ts";

/**
 * Finds the shards that have a checkpoint, by SCAN of the whole database, because the Go library keeps no list of them.
 * In a cluster it repeats until nothing new is found, since a scan can miss a slot that moves meanwhile.
 */
export async function findShards(
  connection: Connection,
  keys: ApplicationKeys,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (let before = -1; before < found.size;) {
    before = found.size;
    for (const key of await connection.scan(keys.pattern)) {
      const shardId = keys.shardIdOf(key);
      if (shardId !== undefined) found.add(shardId);
    }
    if (!connection.isCluster) break;
  }
  return found;
}

/** Waits for shared work. The signal ends the wait, not the work. */
export async function untilAborted<Answer>(
  work: Promise<Answer>,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  if (signal === undefined) return work;
  return new Promise<Answer>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort);
    const done = (): void => signal.removeEventListener("abort", onAbort);
    work.finally(done).then(resolve, reject);
  });
}

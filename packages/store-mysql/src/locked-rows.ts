import type { Call } from "./calls.ts";
import type { Snapshot } from "./snapshot.ts";
import { freeRows } from "./rows.ts";
import { lockFreeRows } from "./statements.ts";

/**
 * Tells which shards have a row in the snapshot, of a lease or a checkpoint, that another transaction has locked. One
 * round trip. The answer may be outdated immediately, so a statement that relies on it may still meet a lock.
 */
export async function lockedAmong(
  { session, place }: Pick<Call, "session" | "place">,
  shardIds: readonly string[],
  { leases, stored }: Pick<Snapshot, "leases" | "stored">,
): Promise<(shardId: string) => boolean> {
  const free = freeRows(await session.read(lockFreeRows(place, shardIds)));
  return (id) =>
    (leases.has(id) && !free.leases.has(id)) || (stored.has(id) && !free.checkpoints.has(id));
}

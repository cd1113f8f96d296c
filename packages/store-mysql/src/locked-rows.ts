import type { Call } from "./calls.ts";
import type { Snapshot } from "./snapshot.ts";
import { freeRows } from "./rows.ts";
import { lockFreeRows } from "./statements.ts";

/**
 * One round trip: whether another transaction has locked a shard's row that was seen, of the leases or the
 * checkpoints. What it says may change at once, so a statement that relies on it may meet a lock still.
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

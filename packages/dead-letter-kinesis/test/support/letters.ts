import { createHash } from "node:crypto";
import type { DeadLetter, DeadLetterQueue } from "@kc/core";

/** Another `index` is another record. */
export function letterAt(index: number, own: Partial<DeadLetter> = {}): DeadLetter {
  return {
    id: createHash("sha256").update(String(index)).digest("hex").slice(0, 32),
    streamName: "orders",
    application: "billing",
    shardId: "shardId-000000000007",
    sequenceNumber: `4959033827149025660855969253836157109592157598913658${index}`,
    partitionKey: `customer-${index}`,
    data: new TextEncoder().encode(`{"order":${index}}`),
    approximateArrivalTimestamp: new Date("2026-11-28T09:00:00.000Z"),
    attempts: 3,
    firstFailedAt: new Date("2026-11-28T09:00:01.000Z"),
    reason: "attempts",
    error: { name: "TypeError", message: "no such customer" },
    ...own,
  };
}

export function send(
  queue: DeadLetterQueue,
  letters: readonly DeadLetter[],
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  return queue.send(letters, { signal });
}

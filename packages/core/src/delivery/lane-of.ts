import type { ResolvedDelivery } from "../options/resolve-delivery.ts";
import type { ConsumerRecord } from "../record.ts";

/** The only lane of a shard whose records are all handled in order. */
const SHARD = "";

/** The lane of a record, by the scan's options; undefined = a lane of its own. */
export type LaneOf = (record: ConsumerRecord) => string | undefined;

/** @returns a function that throws what `key` throws, and a TypeError if `key` returns no string */
export function laneOf({
  concurrency,
  ordering,
  key,
}: Pick<ResolvedDelivery, "concurrency" | "ordering" | "key">): LaneOf {
  if (ordering === "none") return () => undefined;
  if (ordering === "shard" || concurrency === 1) return () => SHARD;
  if (key === undefined) return ({ partitionKey }) => partitionKey || undefined;
  return (record) => {
    const own: unknown = key(record);
    if (typeof own === "string") return own;
    throw new TypeError(`the option key must return a string, not ${typeof own}`);
  };
}

import type { ResolvedDelivery } from "../options/resolve-delivery.ts";
import type { ConsumerRecord } from "../record.ts";

/** The one lane of a shard whose records are handled in order. */
const SHARD = "";

/** In which lane a record is, by its shard's options; undefined = in one of its own. */
export type LaneOf = (record: ConsumerRecord) => string | undefined;

/** @returns a function that throws what `key` throws, and a TypeError if that returns no text */
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
    throw new TypeError(`the option key must return a text, not ${typeof own}`);
  };
}

import { createHash } from "node:crypto";
import { sleep } from "../../src/clock.ts";
import type { World } from "./world.ts";

/** When each GetRecords of a shard was made, in milliseconds after the first of them. */
export function pollsOf(world: World, shardId = "shardId-000000000000"): number[] {
  const polls = world.kinesis.calls.filter(
    ({ operation, input }) => operation === "GetRecords" && isFor(shardId)(input),
  );
  return polls.map(({ at }) => at - polls[0]!.at);
}

/** Picks the calls that concern one shard, by its id or by one of its iterators. */
export function isFor(shardId: string): (input: Readonly<Record<string, unknown>>) => boolean {
  return ({ ShardId, ShardIterator }) =>
    ShardId === shardId ||
    (typeof ShardIterator === "string" &&
      Buffer.from(ShardIterator, "base64").toString().includes(`"${shardId}"`));
}

/** A handler that takes `ms` of virtual time for each record. */
export function taking(world: World, ms: number): () => Promise<void> {
  return () => sleep(world.clock, ms);
}

/** A promise, and the function that resolves it. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

/** From each moment to the next. */
export function gapsOf(times: readonly number[]): number[] {
  return times.slice(1).map((time, i) => time - times[i]!);
}

/** A partition key that belongs to the shard of this index, of `shards` equal ones. */
export function keyOf(index: number, shards: number): string {
  for (let i = 0; ; i += 1) {
    const hash = BigInt(`0x${createHash("md5").update(`key-${i}`).digest("hex")}`);
    if (Number((hash * BigInt(shards)) >> 128n) === index) return `key-${i}`;
  }
}

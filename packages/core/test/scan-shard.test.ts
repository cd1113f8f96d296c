import { expect, test } from "vitest";
import { MemoryStore } from "../src/index.ts";
import { keyOf } from "./support/calls.ts";
import { STREAM, World } from "./support/world.ts";

const [FIRST, SECOND] = ["shardId-000000000000", "shardId-000000000001"] as const;
const SCOPE = { application: "billing", streamName: STREAM };

test("scanShard reads one shard alone, and resolves at its end", async () => {
  const world = await World.of({ shards: 2 });
  const store = new MemoryStore();
  await world.put(keyOf(0, 2), "first shard's");
  await world.put(keyOf(1, 2), "1", "2");
  const seen: string[] = [];
  let over = false;
  const scan = world
    .consumer({ store, start: "TRIM_HORIZON" })
    .scanShard(SECOND, (record) => void seen.push(record.text()))
    .then(() => (over = true));
  await world.clock.advance(1000);
  expect(over).toBe(false);
  await world.split(SECOND);
  await world.clock.advance(1000);
  await scan;

  expect(seen).toEqual(["1", "2"]);
  expect([...(await store.getCheckpoints(SCOPE))]).toMatchObject([[SECOND, { kind: "shard-end" }]]);
  expect(world.clock.pendingTimers).toBe(0);
});

test("scanShard resumes after its checkpoint, and has nothing to do after the shard's end", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const seen: string[] = [];
  const scan = async (): Promise<void> => {
    const stop = new AbortController();
    const consumer = world.consumer({ store, start: "TRIM_HORIZON" });
    const scanning = consumer.scanShard(FIRST, (record) => void seen.push(record.text()), stop);
    await world.clock.advance(1000);
    stop.abort();
    await scanning;
  };
  await world.put("a", "1");
  await scan();
  await world.put("a", "2");
  await world.split(FIRST);
  await scan();
  world.kinesis.resetCalls();
  await scan();

  expect(seen).toEqual(["1", "2"]);
  expect(world.kinesis.countOf("GetShardIterator")).toBe(0);
});

test("scanShard of a shard that the stream has not is SHARD_NOT_FOUND", async () => {
  const world = await World.of();
  const scan = world.consumer().scanShard("shardId-000000000009", () => {});

  await expect(scan).rejects.toMatchObject({
    code: "SHARD_NOT_FOUND",
    shardId: "shardId-000000000009",
    message: expect.stringContaining("orders"),
  });
});

test("scanShard ends by its signal, and rejects with its handler's failure", async () => {
  const world = await World.of();
  await world.put("a", "1");
  const failing = world.consumer({ start: "TRIM_HORIZON" }).scanShard(FIRST, () => {
    throw new Error("no");
  });
  await expect(failing).rejects.toMatchObject({ code: "HANDLER_FAILED", shardId: FIRST });
});

test("scanShard rejects when another worker holds the shard", async () => {
  const world = await World.of();
  class LeasedStore extends MemoryStore {
    override async setCheckpoints(): Promise<readonly { readonly outcome: "lease-lost" }[]> {
      return [{ outcome: "lease-lost" }];
    }
  }
  await world.put("a", "1");
  const consumer = world.consumer({ store: new LeasedStore(), start: "TRIM_HORIZON" });
  const scan = consumer.scanShard(FIRST, () => {});
  scan.catch(() => {});
  await world.clock.advance(2000);

  await expect(scan).rejects.toMatchObject({ code: "LEASE_LOST", shardId: FIRST });
});

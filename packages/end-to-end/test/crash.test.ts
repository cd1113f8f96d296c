import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { CreateStreamCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import type { Checkpoint } from "@kc/core";
import { startEmulator, type FakeKinesis } from "@kc/emulator";
import { afterAll, beforeAll, test } from "vitest";
import { STORES } from "./support/addresses.ts";
import { bundleConsumer, ConsumerProcess, removeBundle } from "./support/processes.ts";
import { openStore } from "./support/stores.ts";

const KILLS = 12;
/** Enough that no run comes to their end before it is killed. */
const RECORDS = 12_000;
const SCOPE = { application: "billing", streamName: "orders" };

let bundle: { directory: string; program: string };
beforeAll(async () => {
  bundle = await bundleConsumer();
});
afterAll(() => removeBundle(bundle));

const name = (): string => `kc_${randomBytes(4).toString("hex")}`;

// Some at once: they wait for processes to start, most of the time.
test.concurrent.for(STORES)(
  `on %s: killed ${KILLS} times, each start continues exactly after the stored checkpoint`,
  async ([, newAddress], { expect, onTestFinished }) => {
    const address = await newAddress(bundle.directory);
    const { store, close } = await openStore(address);
    const emulator = await startEmulator({ quotas: false });
    onTestFinished(async () => {
      await emulator.close();
      await close();
    });
    await store.setup?.();
    const put = await feed(emulator.kinesis);
    const handled = new Set<string>();

    for (let run = 0; run <= KILLS; run += 1) {
      const checkpoints = await store.getCheckpoints(SCOPE);
      const consumer = new ConsumerProcess(bundle.program, {
        endpoint: emulator.url,
        store: address,
        journal: join(bundle.directory, `${name()}.journal`),
        // Of a shard 5 pages a second are read: small ones, to be killed between them; the rest at once.
        maxRecords: run === KILLS ? 10_000 : 50,
      });
      onTestFinished(() => void consumer.end("SIGKILL"));
      const left = [...put].flatMap(([shardId, all]) => all.slice(next(all, checkpoints, shardId)));
      expect(left.length, "records left to handle").toBeGreaterThan(0);
      if (run === KILLS) {
        await consumer.until(left.length);
        expect(await consumer.end("SIGTERM"), "exit code of the clean stop").toBe(0);
      } else {
        await consumer.until(1);
        await after(Math.random() * 150);
        await consumer.end("SIGKILL");
      }

      for (const [shardId, all] of put) {
        // No gap, no other order, and no repeat but from the checkpoint on: one run of the shard.
        const of = consumer.handled().filter((one) => one.shardId === shardId);
        const first = next(all, checkpoints, shardId);
        expect(of.map(({ sequenceNumber }) => sequenceNumber)).toEqual(
          all.slice(first, first + of.length),
        );
        for (const { sequenceNumber } of of) handled.add(sequenceNumber);
        const covered = next(all, await store.getCheckpoints(SCOPE), shardId);
        expect(
          all.slice(0, covered).filter((sequenceNumber) => !handled.has(sequenceNumber)),
          "covered by a checkpoint, but never handled",
        ).toEqual([]);
      }
    }

    const checkpoints = await store.getCheckpoints(SCOPE);
    for (const [shardId, all] of put) expect(next(all, checkpoints, shardId)).toBe(all.length);
    expect(handled.size).toBe(RECORDS);
  },
);

/** Puts the records; answers with each shard's sequence numbers, in the stream's order. */
async function feed(kinesis: FakeKinesis): Promise<Map<string, string[]>> {
  const StreamName = SCOPE.streamName;
  await kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: 2 }));
  const put = new Map<string, string[]>();
  for (let n = 0; n < RECORDS; n += 500) {
    const entries = Array.from({ length: 500 }, (_, i) => ({
      PartitionKey: `customer-${(n + i) % 40}`,
      Data: Buffer.from(`order ${n + i}`),
    }));
    const { Records = [] } = await kinesis.send(
      new PutRecordsCommand({ StreamName, Records: entries }),
    );
    for (const { ShardId = "", SequenceNumber = "" } of Records) {
      put.set(ShardId, [...(put.get(ShardId) ?? []), SequenceNumber]);
    }
  }
  return put;
}

/** Where in a shard reading continues: the index after the checkpoint's record. */
function next(
  all: readonly string[],
  checkpoints: ReadonlyMap<string, Checkpoint>,
  shardId: string,
): number {
  const checkpoint = checkpoints.get(shardId);
  if (checkpoint === undefined) return 0;
  if (checkpoint.kind === "shard-end") throw new Error(`${shardId} is open, and has an end`);
  return all.indexOf(checkpoint.sequenceNumber) + 1;
}

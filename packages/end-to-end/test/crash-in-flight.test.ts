import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { CreateStreamCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { startEmulator, type FakeKinesis } from "@kc/emulator";
import { afterAll, beforeAll, test } from "vitest";
import { STORES } from "./support/addresses.ts";
import { bundleConsumer, ConsumerProcess, removeBundle } from "./support/processes.ts";
import { openStore } from "./support/stores.ts";

const KILLS = 3;
const RECORDS = 3000;
const SCOPE = { streamName: "orders" };
/** So many that what is done beyond the position fits into the store's checkpoint. */
const IN_FLIGHT: Readonly<Record<string, number>> = { Postgres: 300, DynamoDB: 100 };

let bundle: { directory: string; program: string };
beforeAll(async () => {
  bundle = await bundleConsumer();
});
afterAll(() => removeBundle(bundle));

test.concurrent.for(STORES)(
  "on %s: killed with many records in flight, it repeats what was not flushed, and nothing else",
  async ([name, newAddress], { expect, onTestFinished }) => {
    const address = await newAddress(bundle.directory);
    const { store, close } = await openStore(address);
    const emulator = await startEmulator({ quotas: false });
    onTestFinished(async () => {
      await emulator.close();
      await close();
    });
    await store.setup?.();
    const put = await feed(emulator.kinesis);
    const done = new Set<string>();
    const flushed = new Set<string>();

    const concurrency = IN_FLIGHT[name] ?? 1000;
    for (let run = 0; run <= KILLS; run += 1) {
      const consumer = new ConsumerProcess(bundle.program, {
        endpoint: emulator.url,
        store: address,
        journal: join(bundle.directory, `${randomBytes(4).toString("hex")}.journal`),
        maxRecords: concurrency,
        concurrency,
      });
      onTestFinished(() => void consumer.end("SIGKILL"));
      if (run < KILLS) {
        while (!consumer.lines().includes("acknowledged")) await after(20);
        await after(Math.random() * 200);
        await consumer.end("SIGKILL");
      } else {
        const isOver = (): boolean =>
          new Set([...done, ...doneIn(consumer.lines())]).size === put.length;
        while (!isOver()) await after(50);
        expect(await consumer.end("SIGTERM"), "exit code of the clean stop").toBe(0);
      }

      const lines = consumer.lines();
      const started = lines.filter((line) => line.startsWith("started "));
      const repeated = started.filter((line) => flushed.has(line.slice("started ".length)));
      expect(repeated, "flushed, and delivered again").toEqual([]);
      for (const one of doneIn(lines)) done.add(one);
      const acknowledged = lines.lastIndexOf("acknowledged");
      const sent = acknowledged < 0 ? 0 : lines.lastIndexOf("sent", acknowledged);
      for (const one of doneIn(lines.slice(0, sent))) flushed.add(one);
      if (run < KILLS) expect(flushed.size, "records that were flushed").toBeGreaterThan(0);
    }
    expect(done).toEqual(new Set(put));
  },
);

function doneIn(lines: readonly string[]): readonly string[] {
  const prefix = "done ";
  return lines.flatMap((line) => (line.startsWith(prefix) ? [line.slice(prefix.length)] : []));
}

/** Puts the records into one shard, each with a key of its own; answers with their sequence numbers. */
async function feed(kinesis: FakeKinesis): Promise<readonly string[]> {
  const StreamName = SCOPE.streamName;
  await kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: 1 }));
  const put: string[] = [];
  for (let n = 0; n < RECORDS; n += 500) {
    const entries = Array.from({ length: 500 }, (_, i) => ({
      PartitionKey: `customer-${n + i}`,
      Data: Buffer.from(`order ${n + i}`),
    }));
    const { Records = [] } = await kinesis.send(
      new PutRecordsCommand({ StreamName, Records: entries }),
    );
    for (const { SequenceNumber = "" } of Records) put.push(SequenceNumber);
  }
  return put;
}

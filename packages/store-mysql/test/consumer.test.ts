import { CreateStreamCommand, PutRecordCommand } from "@aws-sdk/client-kinesis";
import { checkpointAt, compareSequenceNumbers, Consumer } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { startProxy, type Proxy } from "@kc-internal/test-services";
import { describe, expect, it, onTestFinished } from "vitest";
import { MysqlStore } from "../src/index.ts";
import { SERVERS, createDatabase } from "./support/servers.ts";
import { openStore, SCOPE } from "./support/store.ts";
import { until } from "./support/until.ts";

/** Records of one trouble; half of them are there before it begins. */
const BATCH = 100;

/** A stream whose records are known, and which of them were handled. */
class Ledger {
  readonly kinesis = new FakeKinesis({ quotas: false });
  readonly #put = new Map<string, string[]>();
  readonly #handled = new Set<string>();

  async open(): Promise<void> {
    await this.kinesis.send(new CreateStreamCommand({ StreamName: "orders", ShardCount: 3 }));
  }

  async put(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const PartitionKey = String(Math.random());
      const Data = new TextEncoder().encode(PartitionKey);
      const command = new PutRecordCommand({ StreamName: "orders", PartitionKey, Data });
      const { ShardId, SequenceNumber } = await this.kinesis.send(command);
      const numbers = this.#put.get(ShardId!) ?? [];
      this.#put.set(ShardId!, [...numbers, SequenceNumber!]);
    }
  }

  handle(shardId: string, sequenceNumber: string): void {
    this.#handled.add(`${shardId} ${sequenceNumber}`);
  }

  get handled(): number {
    return this.#handled.size;
  }

  /** The table says "done up to here". Is that true? */
  unhandledUpTo(shardId: string, checkpoint: string): readonly string[] {
    return (this.#put.get(shardId) ?? []).filter(
      (number) =>
        compareSequenceNumbers(number, checkpoint) <= 0 &&
        !this.#handled.has(`${shardId} ${number}`),
    );
  }

  /** The last record of each shard. */
  get ends(): ReadonlyMap<string, string> {
    return new Map([...this.#put].map(([shardId, numbers]) => [shardId, numbers.at(-1)!]));
  }
}

describe.each(SERVERS)("a consumer on $name", ({ start }) => {
  it("never has a checkpoint beyond a record that was not handled, whatever befalls it", async () => {
    const server = await start();
    onTestFinished(() => server.close());
    const database = await createDatabase(server);
    onTestFinished(() => database.drop());
    const proxy: Proxy = await startProxy(server);
    onTestFinished(() => proxy.close());
    const ledger = new Ledger();
    await ledger.open();

    const { host, port } = proxy;
    const connection = { ...database.options, host, port };
    const setUp = openStore({ connection: database.options });
    await setUp.setup();

    /** Straight from the table, past the proxy and the code under test. */
    const look = async (): Promise<void> => {
      const [rows] = await database.admin.query(
        "SELECT shard_id, CAST(sequence_number AS CHAR) AS number FROM kinesis_consumer",
      );
      // What is handled only grows: a hole that is seen after the table was read was one then.
      for (const row of Object.values(rows)) {
        const { shard_id: shardId, number } = row as { shard_id: string; number: string };
        expect(ledger.unhandledUpTo(shardId, number), `below ${number}`).toStrictEqual([]);
      }
    };
    const untilHandled = (count: number, whileWaiting: () => Promise<void>): Promise<void> =>
      until(`${count} records handled`, async () => {
        await whileWaiting();
        return { done: ledger.handled >= count, state: ledger.handled };
      });

    const run = (): { stop(): Promise<void> } => {
      const store = new MysqlStore({ connection, timeoutMs: 1000 });
      const stopping = new AbortController();
      const consumer = new Consumer({
        stream: SCOPE.streamName,
        application: SCOPE.application,
        client: ledger.kinesis,
        store,
        start: "TRIM_HORIZON",
        scanIntervalMs: 10,
        flushIntervalMs: 15,
      });
      const scanning = consumer.scan(
        async ({ shardId, sequenceNumber }) => {
          if (Math.random() < 0.3) await new Promise(setImmediate);
          ledger.handle(shardId, sequenceNumber);
        },
        { signal: stopping.signal },
      );
      return {
        async stop() {
          stopping.abort();
          await scanning;
          await store[Symbol.asyncDispose]();
        },
      };
    };

    let consumer = run();
    let batches = 0;
    const during = async (begin: () => unknown, end: () => unknown, reach = look) => {
      await ledger.put(BATCH / 2);
      await untilHandled(batches * BATCH + BATCH / 4, look);
      await begin();
      await ledger.put(BATCH / 2);
      // Delivery continues while flushes fail.
      await untilHandled(batches * BATCH + (BATCH * 3) / 4, reach);
      await end();
      await untilHandled(++batches * BATCH, look);
    };
    const nobodyLooks = async (): Promise<void> => undefined;

    await during(
      () => proxy.cut(),
      () => proxy.restore(),
    );
    await during(
      () => proxy.blackhole(),
      () => proxy.restore(),
    );
    await during(
      () => server.kill(),
      () => server.restart(),
      nobodyLooks,
    );
    await during(
      () => server.freeze(),
      () => server.thaw(),
      nobodyLooks,
    );
    await during(
      async () => {
        await consumer.stop();
        consumer = run();
      },
      () => undefined,
    );
    await consumer.stop();
    await look();

    expect(ledger.handled).toBe(batches * BATCH);
    const expected = [...ledger.ends].map(([shardId, sequenceNumber]) => [
      shardId,
      checkpointAt({ sequenceNumber }),
    ]);
    const found = await setUp.getCheckpoints(SCOPE);
    expect(Object.fromEntries(found), "a clean stop covers all").toStrictEqual(
      Object.fromEntries(expected),
    );
  });
});

import { setTimeout as delay } from "node:timers/promises";
import { PutRecordsCommand, SplitShardCommand } from "@aws-sdk/client-kinesis";
import { compareCheckpoints, checkpointAt, Consumer } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { startProxy } from "@kc-internal/test-services";
import { expect, inject, onTestFinished, test } from "vitest";
import { DynamoDBStore } from "../src/index.ts";
import { openTable, scope } from "./support/fixture.ts";
import { startFaultyService } from "./support/service.ts";
import { connect } from "./support/table.ts";

const PER_STEP = 50;

/**
 * A consumer reads while its store is cut off, half-open, throttled, and while replies are lost; it
 * is restarted in between, and a shard is split. At every look at the table the checkpoints
 * covered nothing but records that had been handled.
 */
test("no checkpoint ever covers a record that was not handled, whatever befalls the table", async () => {
  const { store: observer, table } = await openTable();
  const proxy = await startProxy(inject("dynamodb"));
  const service = await startFaultyService(proxy);
  const client = connect(service, { maxAttempts: 1 });
  onTestFinished(async () => {
    client.destroy();
    await proxy.close();
  });
  const kinesis = new FakeKinesis({ streams: { orders: 2 }, quotas: false });
  /** The sequence numbers of each shard, in order. */
  const put = new Map<string, string[]>();
  const handled = new Set<string>();
  let [looks, retries, faults] = [0, 0, 0];

  /** What is covered is compared after the read, and only grows: a hole now was one then. */
  const look = async (): Promise<void> => {
    for (const [shardId, checkpoint] of await observer.getCheckpoints(scope)) {
      const covered = (put.get(shardId) ?? []).filter(
        (sequenceNumber) => compareCheckpoints(checkpointAt({ sequenceNumber }), checkpoint) <= 0,
      );
      const holes = covered.filter((sequenceNumber) => !handled.has(sequenceNumber));
      expect(holes, `covered in ${shardId}, though not handled`).toStrictEqual([]);
    }
    looks += 1;
  };

  const lookUntil = async (what: string, done: () => boolean | Promise<boolean>): Promise<void> => {
    const deadline = performance.now() + 60_000;
    await look();
    while (!(await done())) {
      await look();
      if (performance.now() > deadline) expect.fail(`${what}: ${handled.size} records handled`);
      await delay(20);
    }
    await look();
  };

  const putSome = async (): Promise<void> => {
    const { Records = [] } = await kinesis.send(
      new PutRecordsCommand({
        StreamName: "orders",
        Records: Array.from({ length: PER_STEP }, () => {
          const PartitionKey = String(Math.random());
          return { PartitionKey, Data: new TextEncoder().encode(PartitionKey) };
        }),
      }),
    );
    for (const { ShardId = "", SequenceNumber = "" } of Records) {
      put.set(ShardId, [...(put.get(ShardId) ?? []), SequenceNumber]);
    }
  };

  const start = (): (() => Promise<void>) => {
    const store = new DynamoDBStore({ client, table: table.name, timeoutMs: 500 });
    const stopping = new AbortController();
    const consumer = new Consumer({
      stream: scope.streamName,
      application: scope.application,
      client: kinesis,
      store,
      counter: {
        add: (name) => void (retries += Number(name === "retries")),
        set: () => undefined,
        record: () => undefined,
        remove: () => undefined,
      },
      start: "TRIM_HORIZON",
      flushIntervalMs: 20,
      discoveryIntervalMs: 1000,
    });
    const scanning = consumer.scan(
      async (record) => {
        if (Math.random() < 0.3) await new Promise(setImmediate);
        handled.add(record.sequenceNumber);
      },
      { signal: stopping.signal },
    );
    return async () => {
      stopping.abort();
      await scanning;
      await store[Symbol.asyncDispose]();
    };
  };

  let expected = 0;
  /** Records come during a trouble until it was met, and all of them are handled. */
  const during = async (trouble: () => unknown, isMet: () => boolean): Promise<void> => {
    await trouble();
    do {
      await putSome();
      expected += PER_STEP;
      await lookUntil("records handled", () => handled.size >= expected);
    } while (!isMet());
    service.fault = () => undefined;
    await proxy.restore();
  };
  const moreRetries = (): (() => boolean) => {
    const before = retries;
    return () => retries > before;
  };
  const moreFaults = (): (() => boolean) => {
    const before = faults;
    return () => faults > before + 3;
  };
  const sometimes = (fault: ReturnType<typeof service.fault>): void => {
    service.fault = () => (Math.random() < 0.4 && (faults += 1) > 0 ? fault : undefined);
  };

  let stop = start();
  await during(
    () => undefined,
    () => true,
  );
  await during(() => proxy.cut(), moreRetries());
  await during(() => proxy.blackhole(), moreRetries());
  await stop();
  stop = start();
  await during(() => sometimes({ error: "ProvisionedThroughputExceededException" }), moreFaults());
  await during(() => sometimes("lost-reply"), moreFaults());
  await during(
    () =>
      kinesis.send(
        new SplitShardCommand({
          StreamName: "orders",
          ShardToSplit: "shardId-000000000000",
          NewStartingHashKey: String(2n ** 126n),
        }),
      ),
    () => true,
  );

  const all = [...put].map(([shardId, numbers]) => [shardId, numbers.at(-1)!] as const);
  await lookUntil("the last flush", async () => {
    const found = await observer.getCheckpoints(scope);
    return all.every(([shardId, sequenceNumber]) => {
      const checkpoint = found.get(shardId);
      const last = checkpointAt({ sequenceNumber });
      return checkpoint !== undefined && compareCheckpoints(checkpoint, last) >= 0;
    });
  });
  await stop();
  await look();
  expect((await observer.getCheckpoints(scope)).get("shardId-000000000000")?.kind).toBe(
    "shard-end",
  );
  expect([...put.values()].flat().every((number) => handled.has(number))).toBe(true);
  expect(looks).toBeGreaterThan(10);
});

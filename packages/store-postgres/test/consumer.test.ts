import { CreateStreamCommand, PutRecordCommand, SplitShardCommand } from "@aws-sdk/client-kinesis";
import { Consumer } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { startPostgres, startProxy } from "@kc-internal/test-services";
import { expect, onTestFinished, test } from "vitest";
import { PostgresStore } from "../src/index.ts";
import { NAMESPACE, SCOPE } from "./support/leases.ts";
import { open } from "./support/open.ts";
import { eventually } from "./support/poll.ts";

const RECORDS = 600;

/**
 * A consumer reads while its server is killed, its wire cut and half-open, and it is restarted in
 * between. Whatever the table said at any time, the records up to there had been handled.
 */
test("no checkpoint ever covers a record that was not handled, whatever befalls the server", async () => {
  const server = await startPostgres();
  onTestFinished(() => server.close());
  const { user, password, database } = server;
  const { admin, schema } = await open(server);
  await using proxy = await startProxy(server);
  const kinesis = new FakeKinesis({ quotas: false });
  await kinesis.send(new CreateStreamCommand({ StreamName: "orders", ShardCount: 2 }));
  /** The sequence numbers of each shard, in order. */
  const put = new Map<string, string[]>();
  const handled = new Set<string>();
  const keyOf = (shardId: string, number: string): string => `${shardId}/${number}`;

  const watch = async (): Promise<void> => {
    const { rows } = await admin.query<{
      shard_id: string;
      sequence_number: string;
      kc_at: string | null;
      kc_shard_end: boolean | null;
    }>(`SELECT * FROM ${schema}.kinesis_consumer WHERE namespace = '${NAMESPACE}'`);
    // What is covered is looked at after the read, and only grows: a hole now was one then.
    for (const row of rows) {
      const ended = row.kc_shard_end === true && row.kc_at === row.sequence_number;
      const covered = (put.get(row.shard_id) ?? []).filter(
        (number) => ended || BigInt(number) <= BigInt(row.sequence_number),
      );
      const holes = covered.filter((number) => !handled.has(keyOf(row.shard_id, number)));
      expect(holes, `covered by ${row.sequence_number} of ${row.shard_id}`).toEqual([]);
    }
  };

  const start = (): { stop: () => Promise<void> } => {
    const store = new PostgresStore({
      connection: { host: proxy.host, port: proxy.port, user, password, database },
      schema,
      timeoutMs: 500,
    });
    const stopping = new AbortController();
    const consumer = new Consumer({
      stream: "orders",
      application: SCOPE.application,
      client: kinesis,
      store,
      start: "TRIM_HORIZON",
      scanIntervalMs: 10,
      flushIntervalMs: 20,
      discoveryIntervalMs: 1000,
    });
    const scanning = consumer.scan(
      async (record) => {
        if (Math.random() < 0.3) await new Promise(setImmediate);
        handled.add(keyOf(record.shardId, record.sequenceNumber));
      },
      { signal: stopping.signal },
    );
    return {
      stop: async () => {
        stopping.abort();
        await scanning;
        await store[Symbol.asyncDispose]();
      },
    };
  };

  const handledAtLeast = (count: number): Promise<unknown> =>
    eventually(
      "records handled",
      () => handled.size,
      (size) => size >= count,
    );
  const putSome = async (count: number): Promise<void> => {
    for (let index = 0; index < count; index++) {
      const PartitionKey = String(Math.random());
      const Data = new TextEncoder().encode(PartitionKey);
      const { ShardId, SequenceNumber } = await kinesis.send(
        new PutRecordCommand({ StreamName: "orders", PartitionKey, Data }),
      );
      put.set(ShardId!, [...(put.get(ShardId!) ?? []), SequenceNumber!]);
    }
  };
  /** A quarter of the records meanwhile. The table is read all the time. */
  let trouble = 0;
  const during = async (befall: () => Promise<void>): Promise<void> => {
    trouble += 1;
    await putSome(RECORDS / 4);
    await befall();
    await handledAtLeast((RECORDS / 4) * trouble);
    await eventually("a look at the table", () => watch().then(() => true), Boolean);
  };

  let consumer = start();
  await during(async () => {
    await handledAtLeast(20);
    await proxy.cut();
    await watch();
    await proxy.restore();
  });
  await during(async () => {
    proxy.blackhole();
    await handledAtLeast(RECORDS / 4 + 20);
    await watch();
    await proxy.restore();
  });
  await consumer.stop();
  await watch();
  consumer = start();
  await during(async () => {
    const split = { StreamName: "orders", ShardToSplit: "shardId-000000000000" };
    await kinesis.send(new SplitShardCommand({ ...split, NewStartingHashKey: String(2n ** 126n) }));
    await server.kill();
    await server.restart();
  });
  await during(async () => {
    server.freeze();
    await handledAtLeast((RECORDS / 4) * 3 + 20).finally(() => server.thaw());
  });
  await consumer.stop();
  await watch();

  // A clean stop: everything is covered, the split shard's end too.
  const all = [...put].flatMap(([shardId, numbers]) =>
    numbers.map((number) => keyOf(shardId, number)),
  );
  expect(all).toHaveLength(RECORDS);
  expect([...handled].toSorted()).toEqual(all.toSorted());
  const found = await new PostgresStore({ pool: admin, schema }).getCheckpoints(SCOPE);
  for (const [shardId, numbers] of put) {
    const kind = shardId === "shardId-000000000000" ? "shard-end" : "position";
    const expected = { kind, sequenceNumber: numbers.at(-1) };
    expect(found.get(shardId), shardId).toEqual(expected);
  }
});

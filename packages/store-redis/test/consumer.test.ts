import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import { compareSequenceNumbers, Consumer } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { startRedis } from "@kc-internal/test-services";
import { expect, it, onTestFinished } from "vitest";
import { ApplicationKeys } from "../src/keys.ts";
import { connect, openStore, ownScope } from "./support/redis.ts";

const RECORDS = 300;

it("a consumer whose Redis is killed, frozen and restarted covers no record that it has not handled", async () => {
  const server = await startRedis();
  onTestFinished(() => server.close());
  const scope = ownScope();
  const kinesis = new FakeKinesis({ streams: { orders: 2 } });
  const handled = new Map<string, string[]>();
  const store = openStore({ connection: server.url, timeoutMs: 300 });
  const stop = new AbortController();
  const consumer = new Consumer({
    stream: "orders",
    application: scope.application,
    store,
    client: kinesis,
    start: "TRIM_HORIZON",
    scanIntervalMs: 200,
    flushIntervalMs: 20,
  });
  const scan = consumer.scan(
    (record) => {
      const list = handled.get(record.shardId) ?? [];
      handled.set(record.shardId, [...list, record.sequenceNumber]);
    },
    { signal: stop.signal },
  );

  const put: Promise<unknown>[] = [];
  const putSome = (count: number): void => {
    for (let n = 0; n < count; n++) {
      const Data = Buffer.from(String(put.length));
      const command = { StreamName: "orders", PartitionKey: String(put.length), Data };
      put.push(kinesis.send(new PutRecordCommand(command)));
    }
  };
  const total = (): number => [...handled.values()].reduce((sum, list) => sum + list.length, 0);
  const keys = new ApplicationKeys("", scope);
  /** The invariant, whenever the server answers: nothing past what was handled is checkpointed. */
  const admin = connect(server.url, { maxRetriesPerRequest: null }); // waits for the restart
  const checkpoints = async (): Promise<readonly (string | null)[]> => {
    const found: (string | null)[] = [];
    for (const shardId of ["shardId-000000000000", "shardId-000000000001"]) {
      const number = await admin.get(keys.shard(shardId)[0]);
      const last = handled.get(shardId)?.at(-1) ?? "0";
      if (number !== null) expect(compareSequenceNumbers(number, last)).toBeLessThanOrEqual(0);
      found.push(number);
    }
    return found;
  };
  const untilHandled = (count: number): Promise<unknown> => expect.poll(total).toBe(count);

  putSome(RECORDS / 3);
  await untilHandled(RECORDS / 3);
  await expect.poll(checkpoints).not.toContain(null);
  await server.kill();
  putSome(RECORDS / 3);
  await untilHandled((RECORDS / 3) * 2);
  await server.restart();
  await checkpoints();
  server.freeze();
  putSome(RECORDS / 3);
  await untilHandled(RECORDS);
  server.thaw();

  const all = (): readonly (string | null)[] => [
    handled.get("shardId-000000000000")!.at(-1)!,
    handled.get("shardId-000000000001")!.at(-1)!,
  ];
  await expect.poll(checkpoints).toStrictEqual(all());
  stop.abort();
  await scan;
  await Promise.all(put);

  // Another process finds everything done.
  const rest: string[] = [];
  const second = new AbortController();
  const again = new Consumer({
    stream: "orders",
    application: scope.application,
    store: openStore({ connection: server.url }),
    client: kinesis,
    start: "TRIM_HORIZON",
    scanIntervalMs: 200,
  }).scan((record) => void rest.push(record.text()), { signal: second.signal });
  await kinesis.send(
    new PutRecordCommand({ StreamName: "orders", PartitionKey: "a", Data: Buffer.from("last") }),
  );
  await expect.poll(() => rest).toStrictEqual(["last"]);
  second.abort();
  await again;
});

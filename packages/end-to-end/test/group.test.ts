import { setTimeout as after } from "node:timers/promises";
import {
  CreateStreamCommand,
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordsCommand,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import {
  startMariadb,
  startPostgres,
  startRedis,
  type Lifecycle,
} from "@kc-internal/test-services";
import { startEmulator, type FakeKinesis } from "@kc/emulator";
import { createConnection } from "mysql2/promise";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { STORES } from "./support/addresses.ts";
import { through } from "./support/cable.ts";
import { Fleet } from "./support/fleet.ts";
import { bundleConsumer, removeBundle } from "./support/processes.ts";
import { openStore, type StoreAddress } from "./support/stores.ts";
import { FLUSH_MS } from "./support/worker-task.ts";

const SHARDS = 16;
const KEYS = 200;
const RECORDS = Number(process.env["RECORDS"] ?? 100_000);
/** What happens when: another order each time, and the same for the same seed. */
const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
const AT_ONCE: Story = { feed: { records: RECORDS / 2, bytes: 0 }, concurrency: 100 };
const StreamName = "orders";

let bundle: { directory: string; program: string };
beforeAll(async () => {
  bundle = await bundleConsumer("worker");
});
afterAll(() => removeBundle(bundle));

test.each(STORES)(
  `on %s: 4 processes share ${SHARDS} shards, ${AT_ONCE.concurrency} records of each at once, of which some fail; killed, frozen, cut off, replaced and resharded, they lose nothing`,
  async (_, newAddress) => tell(await newAddress(bundle.directory), AT_ONCE),
);

/** Far away: each reply of Kinesis and of the store takes this long at least, in milliseconds. */
const ROUND_TRIP_MS = 50;
/** More would wait for the 2 MiB that may be read of a shard in a second, and for nothing else. */
const LARGE: Feed = { records: 300, bytes: 200_000 };
const REMOTE = STORES.filter(([name]) => name !== "SQLite" && name !== "a Redis cluster");

test.each(REMOTE)(
  `on %s, one record of each shard after another, in 4 processes that are ${ROUND_TRIP_MS} ms away, with records of ${LARGE.bytes / 1000} KB`,
  async (_, newAddress) => {
    const address = await newAddress(bundle.directory);
    await tell(address, { feed: LARGE, latencyMs: ROUND_TRIP_MS / 2 });
  },
);

/** Servers of their own, since the others' tests would miss them. */
const SERVERS: readonly (readonly [
  string,
  () => Promise<{ readonly server: Lifecycle; readonly address: StoreAddress }>,
])[] = [
  [
    "Postgres",
    async () => {
      const server = await startPostgres();
      const { connectionString } = server;
      return { server, address: { kind: "postgres", connectionString, table: "restarted" } };
    },
  ],
  [
    "MariaDB",
    async () => {
      const server = await startMariadb();
      const connection = await createConnection(server.uri);
      await connection.query("CREATE DATABASE restarted");
      await connection.end();
      return { server, address: { kind: "mysql", uri: server.uri, database: "restarted" } };
    },
  ],
  [
    "Redis",
    async () => {
      const server = await startRedis();
      return { server, address: { kind: "redis", url: server.url, keyPrefix: "restarted:" } };
    },
  ],
];

test.each(SERVERS)("on %s, which is restarted meanwhile, too", async (_, start) => {
  const { server, address } = await start();
  onTestFinished(() => server.close());
  const restart = async (): Promise<void> => {
    await server.stop();
    await after(1000);
    await server.restart();
  };
  await tell(address, { interlude: restart });
});

/** What is put: the number of records, and the bytes of each (0 = its name alone). */
interface Feed {
  readonly records: number;
  readonly bytes: number;
}

interface Story {
  readonly feed?: Feed;
  /** Happens to the server meanwhile. */
  readonly interlude?: () => Promise<void>;
  /** From the processes to Kinesis and to the store, one way. */
  readonly latencyMs?: number;
  /** So many records of a shard at once, some of which fail. @default one after another, and none fails */
  readonly concurrency?: number;
}

/** Four processes, records all the while, and what happens to them; then the ledger's verdict. */
async function tell(address: StoreAddress, story: Story = {}): Promise<void> {
  const {
    feed: toPut = { records: RECORDS, bytes: 0 },
    interlude,
    latencyMs = 0,
    concurrency,
  } = story;
  const { records } = toPut;
  const { store, close } = await openStore(address);
  const emulator = await startEmulator({ quotas: false });
  onTestFinished(async () => {
    await emulator.close();
    await close();
  });
  await store.setup?.();
  await store.deadLetters().setup();
  const { kinesis, url } = emulator;
  const endpoint = latencyMs === 0 ? url : (await through(url, latencyMs)).url;
  await kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: SHARDS }));
  const fleet = new Fleet({ ...bundle, endpoint, address, latencyMs, store, concurrency });
  onTestFinished(() => fleet.end());
  for (let n = 0; n < 4; n += 1) await fleet.start();

  const put = new Map<string, number>();
  const events = shuffled<() => Promise<void>>([
    () => fleet.replace(),
    () => fleet.replace(),
    () => fleet.silence(),
    () => fleet.kill(),
    () => split(kinesis),
    () => merge(kinesis),
    ...(interlude ? [interlude] : []),
  ]);
  const steps = [() => fleet.untilReady(), ...events, async () => undefined];
  for (const step of steps) {
    await feed(kinesis, put, { ...toPut, records: Math.ceil(records / steps.length) });
    await step();
    // A process that is still starting does not know its signals yet.
    await fleet.untilReady();
    await after(FLUSH_MS);
  }
  const deadline = performance.now() + 120_000;
  while (!(await fleet.isThrough(put)) && performance.now() < deadline) await after(250);
  await fleet.stop();

  const { repeats, letters, ...verdict } = await fleet.judge(put);
  expect(verdict, `SEED=${SEED}`).toEqual({
    lost: [],
    outOfOrder: [],
    repeatedInPeace: [],
    overlaps: [],
    givenUpEarly: [],
  });
  // Of 10,000 records 4 fail twice.
  if (concurrency !== undefined) expect(letters).toBeGreaterThan(records / 10_000);
  for (const [id, code] of fleet.exitCodes) expect(code, `${id}'s exit code`).toBe(0);
  // What came after the last flush of three: of their share, and what the cut-off one had until its
  // deadline.
  expect(repeats).toBeLessThan(records / 4);
}

function shuffled<T>(items: readonly T[]): T[] {
  let state = SEED;
  const next = (): number => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31);
  return items
    .map((item) => ({ item, at: next() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

async function feed(
  kinesis: FakeKinesis,
  put: Map<string, number>,
  { records: count, bytes }: Feed,
): Promise<void> {
  // A call takes 500 records, and 5 MiB.
  const atOnce = Math.min(500, Math.floor((4 * 1024 * 1024) / Math.max(bytes, 1)));
  for (let n = 0; n < count; n += atOnce) {
    const Records = Array.from({ length: Math.min(atOnce, count - n) }, (_, index) => {
      const key = `k${(n + index) % KEYS}`;
      const number = (put.get(key) ?? 0) + 1;
      put.set(key, number);
      return { PartitionKey: key, Data: Buffer.from(`${key}:${number} `.padEnd(bytes, ".")) };
    });
    await kinesis.send(new PutRecordsCommand({ StreamName, Records }));
  }
}

async function openShards(
  kinesis: FakeKinesis,
): Promise<{ id: string; start: bigint; end: bigint }[]> {
  const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName }));
  return Shards.filter((shard) => !shard.SequenceNumberRange?.EndingSequenceNumber)
    .map(({ ShardId, HashKeyRange }) => ({
      id: ShardId!,
      start: BigInt(HashKeyRange!.StartingHashKey!),
      end: BigInt(HashKeyRange!.EndingHashKey!),
    }))
    .toSorted((a, b) => (a.start < b.start ? -1 : 1));
}

async function split(kinesis: FakeKinesis): Promise<void> {
  const [first] = await openShards(kinesis);
  const { id: ShardToSplit, start, end } = first!;
  const NewStartingHashKey = String((start + end) / 2n + 1n);
  await kinesis.send(new SplitShardCommand({ StreamName, ShardToSplit, NewStartingHashKey }));
}

async function merge(kinesis: FakeKinesis): Promise<void> {
  const [one, other] = (await openShards(kinesis)).slice(-2);
  await kinesis.send(
    new MergeShardsCommand({
      StreamName,
      ShardToMerge: one!.id,
      AdjacentShardToMerge: other!.id,
    }),
  );
}

import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  CreateStreamCommand,
  ListShardsCommand,
  PutRecordCommand,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import { aggregate } from "@kc/aggregator";
import { Consumer } from "@kc/core";
import { startEmulator, type Emulator } from "@kc/emulator";
import { createConnection } from "mysql2/promise";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { buildGoConsumer, readByGo, type GoTask } from "./support/go-library.ts";
import { openStore, type StoreAddress } from "./support/stores.ts";

const asked = process.env["KC_GO_LIBRARY"];
/** Versions, or absolute paths of checkouts, of the Go library. They are downloaded and built. */
const VERSIONS = (asked ?? "v0.3.6,v0.5.0").split(",");
const HAS_GO = spawnSync("go", ["version"]).status === 0;
const WHY_NOT =
  asked === undefined
    ? "KC_GO_LIBRARY names no versions, such as v0.3.6,v0.5.0"
    : HAS_GO
      ? undefined
      : "there is no `go` on the path";
if (WHY_NOT !== undefined) console.warn(`The Go library is NOT tried: ${WHY_NOT}`);

const SCOPE = { application: "billing", streamName: "orders" };
const StreamName = SCOPE.streamName;
type Place = Pick<GoTask, "kind" | "address" | "table"> & { readonly ours: StoreAddress };

const PLACES: Readonly<Record<string, () => Promise<Place>>> = {
  Postgres: async () => {
    const { connectionString } = inject("postgres");
    const table = name();
    return {
      kind: "postgres",
      address: `${connectionString}?sslmode=disable`,
      table,
      ours: { kind: "postgres", connectionString, table },
    };
  },
  MariaDB: () => mysql(inject("mariadb")),
  ...(inject("mysql") === undefined ? {} : { MySQL: () => mysql(inject("mysql")!) }),
  Redis: async () => {
    const { url } = inject("redis");
    return {
      kind: "redis",
      address: new URL(url).host,
      table: "",
      ours: { kind: "redis", url, keyPrefix: "" },
    };
  },
  DynamoDB: async () => {
    const { endpoint } = inject("dynamodb");
    const table = name();
    return {
      kind: "dynamodb",
      address: endpoint,
      table,
      ours: { kind: "dynamodb", endpoint, table },
    };
  },
};

async function mysql({ uri }: { readonly uri: string }): Promise<Place> {
  const database = name();
  const connection = await createConnection(uri);
  await connection.query(`CREATE DATABASE ${database}`);
  await connection.end();
  const { host, username, password } = new URL(uri);
  const address = `${username}:${password}@tcp(${host})/${database}`;
  return {
    kind: "mysql",
    address,
    table: "kinesis_consumer",
    ours: { kind: "mysql", uri, database },
  };
}

const name = (): string => `kc_${randomBytes(4).toString("hex")}`;

// Not `skipIf(…).for(…)`: vitest skips nothing there.
describe.for(VERSIONS)("the Go library %s", { skip: WHY_NOT !== undefined }, (version) => {
  let building: Promise<string> | undefined;
  /** A new application on a new stream, and a place where both libraries keep its progress. */
  async function opened(kind: string, shards: number) {
    const program = await (building ??= buildGoConsumer(version));
    const application = name();
    const { ours, ...place } = await PLACES[kind]!();
    const emulator = await startEmulator({ quotas: false });
    onTestFinished(() => emulator.close());
    const stream = new Stream(emulator);
    await stream.create(shards);
    const task = { ...place, application, stream: StreamName, endpoint: emulator.url };
    return {
      stream,
      byGo: () => readByGo(program, task),
      byUs: (count: number) => readByUs(ours, emulator, application, count),
      insideByUs: (ends: ReadonlySet<string>) => stopInside(ours, emulator, application, ends),
    };
  }

  test.for(Object.keys(PLACES))(
    "on %s: reads on after our checkpoints, and we after its",
    { timeout: 900_000 },
    async (kind) => {
      const { stream, byUs, byGo } = await opened(kind, 3);
      const [middle, ended, empty] = [0, 1, 2].map(shardId) as [string, string, string];

      // One shard that is open, one that ends after its records, one that ends without any.
      await stream.put(middle, 3);
      await stream.put(ended, 3);
      await stream.split(ended);
      await stream.split(empty);
      const first = [...stream.since(middle, 0), ...stream.since(ended, 0)];
      expect(await byUs(first.length)).toStrictEqual(first);

      // Go reads what is new, and nothing twice.
      const second = [middle, ...[3, 4, 5, 6].map(shardId)];
      for (const id of second) await stream.put(id, 3);
      const read = await byGo();
      const expected = second.flatMap((id) => stream.since(id, id === middle ? 3 : 0));
      expect.soft(read.failures).toStrictEqual([]);
      expect.soft(read.records).toStrictEqual(expected);

      // Back: the same, after Go's numbers.
      for (const id of second) await stream.put(id, 2);
      const third = second.flatMap((id) => stream.since(id, id === middle ? 6 : 3));
      expect.soft(await byUs(third.length)).toStrictEqual(third);

      // Go comes to a shard's end, which it cannot write; its children are new to both.
      await stream.put(middle, 1);
      await stream.split(middle);
      await stream.put(shardId(7), 2);
      const atEnd = await byGo();
      expect.soft(atEnd.failures).toStrictEqual([]);
      const fourth = [...stream.since(middle, 8), ...stream.since(shardId(7), 0)];
      expect.soft(atEnd.records).toStrictEqual(fourth);
      await stream.put(shardId(7), 1);
      await stream.put(shardId(8), 1);
      const fifth = [...stream.since(shardId(7), 2), ...stream.since(shardId(8), 0)];
      expect.soft(await byUs(fifth.length)).toStrictEqual(fifth);
    },
  );

  test.for(Object.keys(PLACES))(
    "on %s: shards that Go alone has met are gone on with, once all of ours have ended",
    { timeout: 900_000 },
    async (kind) => {
      const { stream, byUs, byGo } = await opened(kind, 1);
      await stream.put(shardId(0), 3);
      await stream.split(shardId(0));
      expect(await byUs(3)).toHaveLength(3);

      const children = [shardId(1), shardId(2)];
      for (const id of children) await stream.put(id, 3);
      const { records, failures } = await byGo();
      expect(failures).toStrictEqual([]);
      expect(records).toStrictEqual(children.flatMap((id) => stream.since(id, 0)));

      for (const id of children) await stream.put(id, 2);
      const left = children.flatMap((id) => stream.since(id, 3));
      expect(await byUs(left.length)).toStrictEqual(left);
    },
  );

  test.for(Object.keys(PLACES))(
    "on %s: it repeats an aggregate that we have done in part, and we nothing of its",
    { timeout: 900_000 },
    async (kind) => {
      const { stream, byUs, byGo, insideByUs } = await opened(kind, 2);
      const ids = [shardId(0), shardId(1)] as const;

      // One shard that begins with an aggregate, and one with a record before it.
      await stream.put(ids[0], 1);
      const first = await stream.putAggregate(ids[0], 5);
      await stream.put(ids[0], 1);
      const second = await stream.putAggregate(ids[1], 4);
      const inside = new Set([`${ids[0]} 0.3`, `${ids[1]} 1.2`]);
      const done = [...stream.since(ids[0], 0).slice(0, 3), ...stream.since(ids[1], 0).slice(0, 2)];
      expect(await insideByUs(inside)).toStrictEqual(done);

      // Go sees each aggregate as one record.
      const read = await byGo();
      expect(read.failures).toStrictEqual([]);
      const whole = [`${ids[0]} ${first}`, ...stream.since(ids[0], 6), `${ids[1]} ${second}`];
      expect(read.records).toStrictEqual(whole);

      for (const id of ids) await stream.putAggregate(id, 2);
      const left = [...stream.since(ids[0], 7), ...stream.since(ids[1], 4)];
      expect(await byUs(left.length)).toStrictEqual(left);
    },
  );
});

const shardId = (n: number): string => `shardId-${String(n).padStart(12, "0")}`;

/** A stream whose records are named after their shard and their place in it. */
class Stream {
  readonly #kinesis: Emulator["kinesis"];
  readonly #put = new Map<string, string[]>();

  constructor({ kinesis }: Emulator) {
    this.#kinesis = kinesis;
  }

  async create(shards: number): Promise<void> {
    await this.#kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: shards }));
  }

  async put(id: string, count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) await this.#putOne(id, this.#next(id).data);
  }

  /** So many user records in one record: its number. */
  async putAggregate(id: string, count: number): Promise<string> {
    const records = Array.from({ length: count }, () => this.#next(id));
    const explicitHashKey = await this.#hashKeyOf(id);
    const [packed] = aggregate(records.map((record) => ({ ...record, explicitHashKey })));
    return this.#putOne(id, packed!.entry.Data!);
  }

  #next(id: string): { readonly partitionKey: string; readonly data: Uint8Array } {
    const all = this.#put.get(id) ?? [];
    const text = `${Number(id.slice(-3))}.${all.length}`;
    this.#put.set(id, [...all, `${id} ${text}`]);
    return { partitionKey: "any", data: Buffer.from(text) };
  }

  async #putOne(id: string, Data: Uint8Array): Promise<string> {
    const ExplicitHashKey = await this.#hashKeyOf(id);
    const { SequenceNumber } = await this.#kinesis.send(
      new PutRecordCommand({ StreamName, Data, PartitionKey: "any", ExplicitHashKey }),
    );
    return SequenceNumber!;
  }

  async #hashKeyOf(id: string): Promise<string> {
    const { Shards = [] } = await this.#kinesis.send(new ListShardsCommand({ StreamName }));
    return Shards.find(({ ShardId }) => ShardId === id)!.HashKeyRange!.StartingHashKey!;
  }

  async split(id: string): Promise<void> {
    const { Shards = [] } = await this.#kinesis.send(new ListShardsCommand({ StreamName }));
    const { StartingHashKey, EndingHashKey } = Shards.find(
      ({ ShardId }) => ShardId === id,
    )!.HashKeyRange!;
    const middle = (BigInt(StartingHashKey!) + BigInt(EndingHashKey!)) / 2n;
    await this.#kinesis.send(
      new SplitShardCommand({ StreamName, ShardToSplit: id, NewStartingHashKey: String(middle) }),
    );
  }

  /** What was put into a shard, without the first ones. */
  since(id: string, first: number): readonly string[] {
    return (this.#put.get(id) ?? []).slice(first);
  }
}

/** The handler fails at these records, once it is at all of them: what was handled before. */
async function stopInside(
  address: StoreAddress,
  { kinesis }: Emulator,
  application: string,
  ends: ReadonlySet<string>,
): Promise<readonly string[]> {
  const { store, close } = await openStore(address);
  await store.setup?.();
  const records: string[] = [];
  let left = ends.size;
  let fail = (): void => {};
  const atAll = new Promise<never>((_resolve, reject) => {
    fail = () => reject(new Error("it ends here"));
  });
  const consumer = new Consumer({
    stream: StreamName,
    application,
    store,
    client: kinesis,
    start: "TRIM_HORIZON",
  });
  const scanning = consumer.scan(async (record) => {
    const text = `${record.shardId} ${record.text()}`;
    if (!ends.has(text)) return void records.push(text);
    if ((left -= 1) === 0) fail();
    await atAll;
  });
  await expect(scanning).rejects.toMatchObject({ code: "HANDLER_FAILED" });
  await close();
  return records.toSorted((a, b) => a.slice(0, 20).localeCompare(b.slice(0, 20)));
}

/** Stops once that many records were handled and every ended shard's end is stored. */
async function readByUs(
  address: StoreAddress,
  { kinesis }: Emulator,
  application: string,
  count: number,
): Promise<readonly string[]> {
  const { store, close } = await openStore(address);
  await store.setup?.();
  const records: string[] = [];
  const stop = new AbortController();
  const consumer = new Consumer({
    stream: StreamName,
    application,
    store,
    client: kinesis,
    start: "TRIM_HORIZON",
    immediateRescan: true,
  });
  const scanning = consumer.scan(
    async (record) => {
      records.push(`${record.shardId} ${Buffer.from(record.data).toString()}`);
    },
    { signal: stop.signal },
  );
  const scope = { ...SCOPE, application };
  await expect
    .poll(
      async () => {
        const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName }));
        const checkpoints = await store.getCheckpoints(scope);
        const open = Shards.filter(
          ({ ShardId, SequenceNumberRange }) =>
            SequenceNumberRange?.EndingSequenceNumber !== undefined &&
            checkpoints.get(ShardId!)?.kind !== "shard-end",
        );
        return records.length >= count && open.length === 0;
      },
      { timeout: 30_000, interval: 100 },
    )
    .toBe(true);
  stop.abort();
  await scanning;
  await close();
  return records.toSorted((a, b) => a.slice(0, 20).localeCompare(b.slice(0, 20)));
}

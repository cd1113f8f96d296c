import { mutated, seeded } from "@kc-internal/test-services";
import { Encoder } from "cbor-x";
import { expect, test } from "vitest";
import { roundPlanOf } from "../src/groups/leases/round-plan.ts";
import { leasedShards } from "../src/groups/leases/leased-shard.ts";
import { formatLineage } from "../src/groups/leases/lineage.ts";
import { checkedStore } from "../src/checkpoints/checked-store.ts";
import { KcError, MemoryStore, ownerOf, type LeaseRow, type WorkerRow } from "../src/index.ts";
import { readCborReply } from "../src/kinesis/wire/cbor-reply.ts";
import { readJsonReply } from "../src/kinesis/wire/json-reply.ts";
import { SCOPE } from "./support/group-world.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 30_000);

const CANARY = "canary-7c1f";
const DATA = Buffer.from(`${CANARY} in the data`);
const encoder = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });
const ARRIVAL = 1_700_000_000;
const SEQUENCE_NUMBER = "49590338271490256608559692538361571095921575989136588898";

const record = (n: number, data: unknown, arrival: unknown): object => ({
  SequenceNumber: `${SEQUENCE_NUMBER.slice(0, -1)}${n}`,
  ApproximateArrivalTimestamp: arrival,
  Data: data,
  PartitionKey: `${CANARY} in the key`,
});
const reply = (data: unknown, arrival: unknown): object => ({
  NextShardIterator: "AAAA",
  MillisBehindLatest: 7,
  Records: [1, 2, 3].map((n) => record(n, data, arrival)),
  ChildShards: [{ ShardId: "shardId-1", ParentShards: ["shardId-0"] }],
});

const WIRES = [
  ["cbor", readCborReply, encoder.encode(reply(DATA, ARRIVAL * 1000))],
  ["json", readJsonReply, Buffer.from(JSON.stringify(reply(DATA.toString("base64"), ARRIVAL)))],
] as const;

test.each(WIRES)(
  "a mutated reply in %s is an error, or records that are in its bytes",
  (name, read, message) => {
    const random = seeded(SEED);
    let pages = 0;
    for (let run = 0; run < RUNS; run += 1) {
      const bytes = mutated(message, [message], random);
      const where = (): string =>
        `FUZZ_SEED=${SEED}, run ${run}: ${Buffer.from(bytes).toString("base64")}`;
      try {
        const { records } = read(bytes);
        pages += 1;
        const text = Buffer.from(bytes).toString("latin1");
        for (let i = 0; i < records.length; i += 1) {
          const { sequenceNumber, data } = records.record(i, "shardId-0", 0);
          if (!/^\d{1,129}$/.test(sequenceNumber) || !(data instanceof Uint8Array))
            throw new Failed(where());
          const isThere = name === "json" || text.includes(Buffer.from(data).toString("latin1"));
          // In JSON, digits may be written as escapes.
          const hasNumber =
            text.includes(sequenceNumber) || (name === "json" && text.includes("\\u"));
          if (!isThere || !hasNumber) throw new Failed(where());
        }
      } catch (error) {
        if (error instanceof Failed || !(error instanceof Error)) throw error;
        // What JSON.parse says is looked at by nobody: the SDK is left to judge the reply.
        if (name === "cbor" && error.message.includes(CANARY)) throw new Failed(where());
      }
    }
    expect(pages).toBeGreaterThan(RUNS / 20);
  },
);

class Failed extends Error {}

const HOSTILE = [
  -1,
  0,
  0.5,
  NaN,
  Infinity,
  -Infinity,
  2 ** 53,
  1e308,
  5e-324,
  "",
  "#",
  "x",
  null,
  undefined,
  {},
  [],
];

test("mutated rows of a store are refused by name, or shared out whole", async () => {
  const random = seeded(SEED);
  const below = (bound: number): number => Math.floor(random() * bound);
  let planned = 0;
  let refused = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const workers = Array.from({ length: 1 + below(4) }, (_, i): WorkerRow => ({
      workerId: `w${i}`,
      incarnation: "i",
      weight: 1 + below(3),
      maxShards: undefined,
      counter: i,
    }));
    const leases = Array.from({ length: 1 + below(6) }, (_, i): LeaseRow => ({
      shardId: `s${i}`,
      owner: below(2) === 0 ? undefined : ownerOf(workers[below(workers.length)]!),
      epoch: 1,
      lineage: formatLineage({
        parents: below(3) === 0 ? [`s${below(6)}`] : [],
        listed: true,
        atStart: true,
        afterParent: false,
      }),
      checkpoint: below(2) === 0 ? undefined : { kind: "position", sequenceNumber: `${i}` },
    }));
    if (below(2) === 0) damage(below(2) === 0 ? workers : leases, below);
    const store = new MemoryStore();
    store.listWorkers = async () => ({ revision: 1, workers });
    store.listLeases = async () => ({ revision: 1, leases });
    const checked = checkedStore(store);
    try {
      const view = {
        revision: 1,
        workers: (await checked.listWorkers(SCOPE)).workers,
        shards: leasedShards((await checked.listLeases(SCOPE)).leases),
      };
      const claims = view.workers.map((worker) =>
        roundPlanOf(
          worker,
          view,
          () => false,
          () => false,
        ),
      );
      const shares = claims.reduce((sum, { share }) => sum + share, 0);
      const room = view.workers.some(({ maxShards }) => maxShards === undefined);
      // A shard that nobody waits for can be read: rows without one stand still for ever.
      const isWhole = !room || shares > 0;
      if (!isWhole)
        throw new Failed(`FUZZ_SEED=${SEED}, run ${run}: ${JSON.stringify({ workers, leases })}`);
      planned += 1;
    } catch (error) {
      if (!KcError.is(error)) throw error;
      expect(error.code).toBe("STORE_CORRUPT");
      refused += 1;
    }
  }
  expect(Math.min(planned, refused)).toBeGreaterThan(RUNS / 10);
});

/** Puts something else into one member of one row. */
function damage(rows: readonly object[], below: (bound: number) => number): void {
  const row = rows[below(rows.length)]! as Record<string, unknown>;
  const names = Object.keys(row);
  row[names[below(names.length)]!] = HOSTILE[below(HOSTILE.length)];
}

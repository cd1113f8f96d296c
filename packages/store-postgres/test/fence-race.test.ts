import { KcError, type CheckpointWrite, type Fence } from "@kc/core";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PostgresStore } from "../src/index.ts";
import { testDatabase, type TestDatabase } from "./support/database.ts";
import { claim, grant, NAMESPACE, SCOPE, storedNumber, WORKER } from "./support/leases.ts";
import { WaitingClient } from "./support/open.ts";

const ROUNDS = 1000;
/** Rounds at once, each on a shard of its own. */
const LANES = 8;
const OLD: Fence = { epoch: 1, owner: "old#1" };

let database: TestDatabase;
let pool: pg.Pool;
let store: PostgresStore;
/** Another process, which claims. */
let claimer: PostgresStore;

beforeAll(async () => {
  database = await testDatabase();
  const { connectionString, schema } = database;
  const connection = { connectionString, Client: WaitingClient };
  pool = new pg.Pool({ ...connection, max: 3 * LANES });
  store = new PostgresStore({ pool, schema, timeoutMs: 60_000 });
  await store.setup();
  claimer = new PostgresStore({ connection, schema, timeoutMs: 60_000 });
  await claimer.joinWorker(SCOPE, WORKER);
});

afterAll(async () => {
  await claimer[Symbol.asyncDispose]();
  await pool.end();
  await database[Symbol.asyncDispose]();
});

interface Round {
  /** From 0. */
  readonly number: number;
  readonly shardId: string;
  readonly fence: Fence | undefined;
}

let shards = 0;

/** Runs rounds on fresh shards, some at once, until one answers that this is enough. */
async function runRounds(
  fence: Fence | undefined,
  round: (entry: Round) => Promise<boolean>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < ROUNDS) {
      const number = next++;
      const shardId = `shardId-${String(shards++).padStart(12, "0")}`;
      if (fence !== undefined) await grant(pool, database.schema, shardId, fence);
      if (await round({ number, shardId, fence })) next = ROUNDS;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

type Claim = (shardId: string) => Promise<string | undefined>;

/** As a group claims: `old#1` has no worker's row, so its leases are free. */
const byAcquire: Claim = async (shardId) => {
  await claimer.putShards(SCOPE, [{ shardId, lineage: "{}" }]);
  const [lease] = await claimer.acquireLeases(SCOPE, WORKER, [shardId]);
  expect(lease, "the claim's answer").toBeDefined();
  const { checkpoint } = lease!;
  return checkpoint?.kind === "position" ? checkpoint.sequenceNumber : undefined;
};

/** In four round trips, which leaves others time to do it wrong. */
const byHand: Claim = (shardId) => claim(pool, database.schema, shardId, "new#1");

/**
 * A worker that lost its shard writes while another claims it. What the claim sees must be what
 * is stored in the end: a later write would change the new owner's checkpoint. Ends at the first
 * race that neither won.
 */
async function raceClaims(
  fence: Fence | undefined,
  write: (round: Round) => Promise<boolean>,
  claimBy: Claim,
): Promise<{ readonly written: number; readonly refused: number; readonly broken: number }> {
  const tally = { written: 0, refused: 0, broken: 0 };
  await runRounds(fence, async (round) => {
    const late = Math.random() * 2;
    const turns = async (count: number): Promise<void> => {
      for (let turn = 0; turn < count * 4; turn++) await new Promise(setImmediate);
    };
    const claimed = (): Promise<string | undefined> => claimBy(round.shardId);
    // One in ten is no race, but one of its two outcomes, so that both are seen on any machine.
    const turn = round.number % 20;
    const first = turn === 0 ? await claimed() : undefined;
    const writing = turns(late).then(() => write(round));
    if (turn === 10) await writing;
    const claiming = turn === 0 ? first : turns(2 - late).then(claimed);
    const [seen, written] = await Promise.all([claiming, writing]);
    const stands = await storedNumber(pool, database.schema, round.shardId);
    tally[written ? "written" : "refused"] += 1;
    if (seen !== stands || written !== (stands !== undefined)) tally.broken += 1;
    return tally.broken > 0;
  });
  return tally;
}

const toWrite = ({ shardId, fence }: Omit<Round, "number">): CheckpointWrite => ({
  shardId,
  checkpoint: { kind: "position", sequenceNumber: "7" },
  ...(fence === undefined ? {} : { fence }),
});

const byStore = async (round: Round): Promise<boolean> => {
  const [result] = await store.setCheckpoints(SCOPE, [toWrite(round)]);
  return result?.outcome === "written";
};

/** The statement that looks right: it compares the lease as it was when the statement began. */
const byExists = async ({ shardId, fence }: Round): Promise<boolean> => {
  const lease = `FROM ${database.schema}.kinesis_consumer_leases WHERE namespace = $1 AND shard_id = $2`;
  const values = [NAMESPACE, shardId, ...(fence === undefined ? [] : [fence.owner, fence.epoch])];
  const { rowCount } = await pool.query(
    `INSERT INTO ${database.schema}.kinesis_consumer AS c (namespace, shard_id, sequence_number)
     SELECT $1, $2, 7 WHERE ${
       fence === undefined
         ? `NOT EXISTS (SELECT ${lease} AND owner IS NOT NULL)`
         : `EXISTS (SELECT ${lease} AND owner = $3 AND epoch = $4)`
     }
     ON CONFLICT (namespace, shard_id) DO UPDATE SET sequence_number = excluded.sequence_number
     WHERE excluded.sequence_number > c.sequence_number`,
    values,
  );
  return rowCount === 1;
};

describe.each([
  ["a claim of a shard that another holds", OLD],
  ["the first claim of a shard", undefined],
])("%s", (_title, fence) => {
  test.each([
    ["of the store's", byAcquire],
    ["by hand", byHand],
  ])(`%s decides ${ROUNDS} races with a write`, async (_by, claimBy) => {
    const { written, refused, broken } = await raceClaims(fence, byStore, claimBy);
    expect(broken, "races that neither won").toBe(0);
    expect(Math.min(written, refused), "each wins some races").toBeGreaterThan(ROUNDS / 50);
  });

  test("would not, if the write looked at the lease without a lock", async () => {
    const { broken } = await raceClaims(fence, byExists, byHand);
    expect(broken).toBeGreaterThan(0);
  });
});

test(`a forced reset decides ${ROUNDS} races with a write of the owner whom it fences out`, async () => {
  const tally = { written: 0, refused: 0, broken: 0 };
  await runRounds(OLD, async (round) => {
    const reset = (): Promise<void> =>
      store.resetCheckpoint(SCOPE, round.shardId, undefined, { force: true });
    const turn = round.number % 20;
    if (turn === 0) await reset();
    const writing = byStore(round);
    if (turn === 10) await writing;
    const [written] = await Promise.all([writing, turn === 0 ? undefined : reset()]);
    tally[written ? "written" : "refused"] += 1;
    const stands = await storedNumber(pool, database.schema, round.shardId);
    if (stands !== undefined) tally.broken += 1;
    return tally.broken > 0;
  });
  expect(tally.broken, "checkpoints that came back").toBe(0);
  expect(Math.min(tally.written, tally.refused)).toBeGreaterThan(0);
});

test("bulk writes race claims of their shards without a deadlock", async () => {
  const shardIds = Array.from(
    { length: 50 },
    (_, index) => `bulk-${String(index).padStart(3, "0")}`,
  );
  for (const shardId of shardIds) await grant(pool, database.schema, shardId, OLD);
  const flush = async (): Promise<readonly string[]> => {
    const acknowledged: string[] = [];
    for (let n = 1; n <= 50; n++) {
      const ordered = n % 2 === 0 ? shardIds : shardIds.toReversed();
      const writes = ordered.map((shardId) => ({
        ...toWrite({ shardId, fence: OLD }),
        checkpoint: { kind: "position", sequenceNumber: String(n) } as const,
      }));
      const answers = await store.setCheckpoints(SCOPE, writes);
      for (const [index, { outcome }] of answers.entries()) {
        if (outcome !== "lease-lost") acknowledged.push(`${ordered[index]}=${n}`);
      }
    }
    return acknowledged;
  };
  await claimer.putShards(
    SCOPE,
    shardIds.map((shardId) => ({ shardId, lineage: "{}" })),
  );
  const claimAll = async (): Promise<ReadonlyMap<string, string | undefined>> => {
    const seen = new Map<string, string | undefined>();
    for (let start = 0; start < shardIds.length; start += 10) {
      const some = shardIds.slice(start, start + 10).toReversed();
      for (const lease of await claimer.acquireLeases(SCOPE, WORKER, some)) {
        const { shardId, checkpoint } = lease;
        seen.set(shardId, checkpoint?.kind === "position" ? checkpoint.sequenceNumber : undefined);
      }
    }
    return seen;
  };
  const [acknowledged, seen] = await Promise.all([flush(), claimAll()]);
  expect(seen.size, "claimed").toBe(shardIds.length);
  for (const [shardId, number] of seen) {
    expect(await storedNumber(pool, database.schema, shardId), shardId).toBe(number);
  }
  const beyond = acknowledged.filter((entry) => {
    const [shardId = "", n] = entry.split("=");
    return Number(n) > Number(seen.get(shardId) ?? 0);
  });
  expect(beyond, "acknowledged after the claim").toEqual([]);
});

test("a lost fence is distinguished from trouble", async () => {
  await grant(pool, database.schema, "lost", OLD);
  await claim(pool, database.schema, "lost", "new#1");
  const error = await store
    .setCheckpoint(SCOPE, toWrite({ shardId: "lost", fence: OLD }))
    .catch((reason: unknown) => reason);
  expect(KcError.is(error) && error.code).toBe("LEASE_LOST");
});

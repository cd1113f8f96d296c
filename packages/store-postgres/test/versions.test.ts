import { checkpointAt, type AcquiredLease, type Checkpoint } from "@kc/core";
import type { PoolClient } from "pg";
import { expect, inject, onTestFinished, test } from "vitest";
import { NAMESPACE, SCOPE, SHARD, WORKER } from "./support/leases.ts";
import { at, failure, open, untilWaiting, WaitingClient, type Opened } from "./support/open.ts";

const OLD = { ...WORKER, workerId: "old" };
const OLD_OWNER = "old#1";

/**
 * The tables and statements of the version before, as it sent them: it knows no fill factor, locks the
 * lease of a write FOR SHARE, and keeps no number beside a shard's end. During a deploy, and when it is
 * taken back, both versions work on the same rows.
 */
interface Before {
  /** How many rows it moved, and how many leases it found to be those of the write. */
  flush(
    n: number,
    fence: { epoch: number; owner: string },
  ): Promise<{ held: number; moved: number }>;
  claim(): Promise<number | undefined>;
  /** As `claim`, its transaction left open before its last look. */
  beginClaim(): Promise<{ end(): Promise<string | undefined> }>;
}

const DDL = (schema: string): string => `
  CREATE TABLE ${schema}.kinesis_consumer (
    namespace text NOT NULL, shard_id text NOT NULL, sequence_number numeric NOT NULL,
    PRIMARY KEY (namespace, shard_id));
  ALTER TABLE ${schema}.kinesis_consumer ADD COLUMN kc_at numeric,
    ADD COLUMN kc_sub_sequence_number bigint, ADD COLUMN kc_shard_end boolean;
  CREATE TABLE ${schema}.kinesis_consumer_applications (
    namespace text PRIMARY KEY, application text NOT NULL, stream_name text NOT NULL,
    stream_arn text NOT NULL, stream_created_at timestamptz, start text NOT NULL,
    start_timestamp timestamptz, started_at timestamptz NOT NULL, migrated boolean NOT NULL);
  CREATE TABLE ${schema}.kinesis_consumer_leases (
    namespace text NOT NULL, shard_id text NOT NULL, epoch bigint NOT NULL, owner text,
    PRIMARY KEY (namespace, shard_id));
  ALTER TABLE ${schema}.kinesis_consumer_leases ADD COLUMN lineage text;
  CREATE TABLE ${schema}.kinesis_consumer_workers (
    namespace text NOT NULL, worker_id text NOT NULL, incarnation text NOT NULL,
    weight double precision NOT NULL, max_shards bigint, counter bigint NOT NULL,
    PRIMARY KEY (namespace, worker_id));
  CREATE TABLE ${schema}.kinesis_consumer_revisions (
    namespace text PRIMARY KEY, revision bigint NOT NULL)`;

/** On tables of the version before, with the columns that this one needs: `setup()` comes before a deploy. */
async function besideBefore(): Promise<Opened & { before: Before }> {
  const opened = await onTablesBefore();
  const { admin, schema } = opened;
  await admin.query(`ALTER TABLE ${schema}.kinesis_consumer ADD COLUMN kc_ahead text,
    ADD COLUMN kc_inside numeric, ADD COLUMN kc_whole numeric`);
  return { ...opened, before: versionBefore(opened) };
}

async function onTablesBefore(): Promise<Opened> {
  const opened = await open(inject("postgres"), { Client: WaitingClient, timeoutMs: 60_000 });
  const { admin, schema } = opened;
  await admin.query(`DROP SCHEMA ${schema} CASCADE; CREATE SCHEMA ${schema}; ${DDL(schema)}`);
  return opened;
}

function versionBefore({ admin, schema }: Opened): Before {
  const [leases, checkpoints] = [`${schema}.kinesis_consumer_leases`, `${schema}.kinesis_consumer`];
  const row = `namespace = '${NAMESPACE}' AND shard_id = '${SHARD}'`;
  const number = `SELECT sequence_number::text AS n FROM ${checkpoints} WHERE ${row}`;
  const take = `SELECT count(*) FROM (SELECT FROM ${leases} AS l WHERE ${row} FOR UPDATE OF l) AS locked;
    UPDATE ${leases} AS l SET owner = '${OLD_OWNER}', epoch = l.epoch + 1 WHERE ${row}
      AND NOT EXISTS (SELECT FROM ${schema}.kinesis_consumer_workers AS o WHERE o.namespace = '${NAMESPACE}'
        AND o.worker_id || '#' || o.incarnation = l.owner)`;
  const last = <Row>(answer: unknown): Row | undefined =>
    (answer as { rows: Row[] }[]).at(-1)!.rows[0];
  return {
    async flush(n, { epoch, owner }) {
      const answer: unknown = await admin.query(`SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
        WITH held AS (
          SELECT l.shard_id FROM ${leases} AS l
          WHERE ${row} AND l.owner IS NOT DISTINCT FROM '${owner}' AND l.epoch = ${epoch}
          FOR SHARE OF l
        ), moved AS (
          INSERT INTO ${checkpoints} AS c (namespace, shard_id, sequence_number, kc_at)
          SELECT '${NAMESPACE}', shard_id, ${n}, ${n} FROM held
          ON CONFLICT (namespace, shard_id) DO UPDATE SET sequence_number = excluded.sequence_number,
            kc_at = excluded.kc_at, kc_sub_sequence_number = NULL, kc_shard_end = NULL
          WHERE excluded.sequence_number > c.sequence_number
            AND NOT coalesce(c.kc_at = c.sequence_number AND c.kc_shard_end, false)
          RETURNING c.shard_id
        )
        SELECT (SELECT count(*) FROM held)::int AS held, (SELECT count(*) FROM moved)::int AS moved`);
      return last<{ held: number; moved: number }>(answer)!;
    },
    async claim() {
      await admin.query(take);
      const { rows } = await admin.query<{ epoch: string }>(
        `SELECT epoch FROM ${leases} WHERE ${row} AND owner = '${OLD_OWNER}'`,
      );
      return rows[0] && Number(rows[0].epoch);
    },
    async beginClaim() {
      const client: PoolClient = await admin.connect();
      onTestFinished(() => client.query("ROLLBACK").then(() => client.release()));
      await client.query(`BEGIN; ${take}`);
      return {
        async end() {
          const answer: unknown = await client.query(`${number}; COMMIT`);
          return (answer as { rows: { n: string }[] }[])[0]!.rows[0]?.n;
        },
      };
    },
  };
}

async function claimed({ store }: Opened): Promise<AcquiredLease> {
  await store.joinWorker(SCOPE, WORKER);
  await store.putShards(SCOPE, [{ shardId: SHARD, lineage: "{}" }]);
  const [lease] = await store.acquireLeases(SCOPE, WORKER, [SHARD]);
  return lease!;
}

async function flush({ store }: Opened, { fence }: AcquiredLease, n: number): Promise<string> {
  const [answer] = await store.setCheckpoints(SCOPE, [{ ...at(n), fence }]);
  return answer!.outcome;
}

test("tables of the version before ask for setup(), which adds the column and keeps what is there", async () => {
  const opened = await onTablesBefore();
  const { admin, schema, store } = opened;
  const row = `('${NAMESPACE}', '${SHARD}', 7, 7)`;
  await admin.query(`INSERT INTO ${schema}.kinesis_consumer (namespace, shard_id, sequence_number, kc_at)
    VALUES ${row}`);
  expect(await failure(store.getCheckpoint(SCOPE, SHARD))).toMatchObject({
    code: "STORE_SCHEMA",
    message: expect.stringContaining("ADD COLUMN IF NOT EXISTS kc_ahead text") as string,
  });
  await store.setup();
  expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(at(7).checkpoint);
});

test("what is done beyond a position ends when the version before moves the position", async () => {
  const opened = await besideBefore();
  const { store } = opened;
  const { fence } = await claimed(opened);
  const write = (n: number, ahead: string) =>
    store.setCheckpoint(SCOPE, {
      shardId: SHARD,
      checkpoint: { kind: "position", sequenceNumber: String(n), ahead },
      fence,
    });
  expect((await write(99, "zz")).outcome).toBe("written");
  expect(await opened.before.flush(100, fence)).toEqual({ held: 1, moved: 1 });
  expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(at(100).checkpoint);
  // Its text stands there still, and is not what the next one is compared with.
  expect(await write(100, "00")).toMatchObject({ outcome: "written", stored: { ahead: "00" } });
});

test("a position inside an aggregate is the last whole record to the version before, and its own rows stay what they are", async () => {
  const opened = await besideBefore();
  const { admin, schema, store, before } = opened;
  const { fence } = await claimed(opened);
  const inside = (n: number, sub: number, whole?: number): Checkpoint =>
    checkpointAt({
      sequenceNumber: String(n),
      subSequenceNumber: sub,
      wholeSequenceNumber: whole === undefined ? undefined : String(whole),
    });
  const write = async (checkpoint: Checkpoint): Promise<string> =>
    (await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint, fence })).outcome;
  // Its own row inside an aggregate: the aggregate's number stands in Go's column.
  await admin.query(`INSERT INTO ${schema}.kinesis_consumer
    (namespace, shard_id, sequence_number, kc_at, kc_sub_sequence_number, kc_shard_end)
    VALUES ('${NAMESPACE}', '${SHARD}', 9, 9, 3, false)`);
  expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(inside(9, 3));
  expect(await write(inside(9, 2, 8))).toBe("behind");
  expect(await write(inside(9, 4, 8))).toBe("written");
  expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(inside(9, 4, 8));
  // It takes the position for record 8, and does the aggregate again.
  expect(await before.flush(9, fence)).toEqual({ held: 1, moved: 1 });
  expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(at(9).checkpoint);
  // It leaves our columns as they were: beside the number that they belonged to they count no more.
  expect(await write(inside(12, 1, 11))).toBe("written");
  await admin.query(`UPDATE ${schema}.kinesis_consumer
    SET sequence_number = 11, kc_at = 11, kc_sub_sequence_number = NULL`);
  expect(await store.getCheckpoint(SCOPE, SHARD)).toEqual(at(11).checkpoint);
});

test("the version before and this one work on one schema, before setup() and after it", async () => {
  const opened = await besideBefore();
  const lease = await claimed(opened);
  expect(await flush(opened, lease, 1)).toBe("written");
  await opened.store.setup();
  expect(await flush(opened, lease, 2)).toBe("written");
  expect(await opened.before.flush(3, lease.fence), "the version before, after setup()").toEqual({
    held: 1,
    moved: 1,
  });
  expect(await opened.store.getCheckpoint(SCOPE, SHARD)).toEqual(at(3).checkpoint);
});

test("shards go to the version before and come back, with what either wrote last", async () => {
  const opened = await besideBefore();
  const { store, before } = opened;
  const lease = await claimed(opened);
  expect(await flush(opened, lease, 1)).toBe("written");
  await store.leaveWorker(SCOPE, WORKER);
  await store.joinWorker(SCOPE, OLD); // the row is the same
  const epoch = await before.claim();
  expect(epoch).toBe(2);
  expect(await flush(opened, lease, 9), "fenced out by it").toBe("lease-lost");
  const fence = { epoch: epoch!, owner: OLD_OWNER };
  expect(await before.flush(2, fence)).toEqual({ held: 1, moved: 1 });
  await store.leaveWorker(SCOPE, OLD);
  await store.joinWorker(SCOPE, { ...WORKER, incarnation: "2" });
  const [next] = await store.acquireLeases(SCOPE, { ...WORKER, incarnation: "2" }, [SHARD]);
  expect(next).toMatchObject({ fence: { epoch: 3 }, checkpoint: at(2).checkpoint });
  expect(await before.flush(9, fence), "it is fenced out").toEqual({ held: 0, moved: 0 });
  expect(await flush(opened, next!, 3)).toBe("written");
});

test("a shard's end with its number is an end to the version before, which moves nothing behind it", async () => {
  const opened = await besideBefore();
  const lease = await claimed(opened);
  const end: Checkpoint = { kind: "shard-end", sequenceNumber: "7" };
  await opened.store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: end, fence: lease.fence });
  expect(await opened.before.flush(9, lease.fence)).toEqual({ held: 1, moved: 0 });
  expect(await opened.store.getCheckpoint(SCOPE, SHARD)).toEqual(end);
});

test("a write that meets a claim of the version before waits for it, and is refused", async () => {
  const opened = await besideBefore();
  const lease = await claimed(opened);
  await flush(opened, lease, 1);
  await opened.store.leaveWorker(SCOPE, WORKER);
  await opened.store.joinWorker(SCOPE, OLD);
  const claim = await opened.before.beginClaim();
  const late = failure(opened.store.setCheckpoint(SCOPE, { ...at(2), fence: lease.fence }));
  await untilWaiting(opened, 1);
  expect(await claim.end(), "what the claim sees").toBe("1");
  expect(await late).toMatchObject({ code: "LEASE_LOST" });
  expect(await opened.store.getCheckpoint(SCOPE, SHARD)).toEqual(at(1).checkpoint);
});

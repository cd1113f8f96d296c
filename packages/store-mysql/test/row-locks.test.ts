import type { Pool, RowDataPacket } from "mysql2/promise";
import { beforeEach, describe, expect, it } from "vitest";
import * as leases from "../src/lease-statements.ts";
import type { Place } from "../src/sql.ts";
import { tablesOf } from "../src/sql.ts";
import { readCheckedSchema } from "../src/schema.ts";
import { Session } from "../src/driver.ts";
import { advance, deleteCheckpoint, lockFreeRows } from "../src/statements.ts";
import { columnsOf } from "../src/rows.ts";
import { SERVERS, ownDatabase, type Database } from "./support/servers.ts";
import { at, NAMESPACE, openStore, SCOPE, shard, WORKER, writeOf } from "./support/store.ts";
import { CallLimit } from "@kc/core/adapter";

const IDS = Array.from({ length: 100 }, (_, index) => shard(index));
const SOME = IDS.slice(20, 70);
const REST = IDS.filter((shardId) => !SOME.includes(shardId));
const NEIGHBOUR = { ...SCOPE, application: "another" };
const OWNER = { epoch: 1, owner: "worker#1" };
const held = SOME.map((shardId) => ({ shardId, ...OWNER }));

const GO_TABLES = {
  "a table of setup()": undefined,
  "Go's, in Latin letters": "varchar(255) CHARACTER SET latin1 COLLATE latin1_swedish_ci",
  "Go's, that ignores case": "varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
  "Go's, of bytes": "varbinary(1020)",
};

const STATEMENTS: Readonly<Record<string, (place: Place) => string>> = {
  "a flush": (place) =>
    advance(
      place,
      SCOPE,
      SOME.map((id) => ({ ...columnsOf(id, at(5)), ...OWNER })),
      1n,
    ),
  "a look for locked rows": (place) => lockFreeRows(place, SOME),
  "a claim": (place) => leases.acquireLeases(place, WORKER, "worker#1", held),
  "a release": (place) => leases.releaseLeases(place, held),
  "a removal": (place) => leases.removeShards(place, held),
  "a reset": (place) => leases.resetLease(place, held[0]!, columnsOf(SOME[0]!, at(2))),
  "a reset's removal": (place) => deleteCheckpoint(place, { shardId: SOME[0]!, epoch: 1 }),
  "new leases": (place) =>
    leases.createLeases(
      place,
      SOME.map((shardId) => ({ shardId, lineage: "x" })),
    ),
  "new lineages": (place) =>
    leases.replaceLineages(
      place,
      SOME.map((shardId) => ({ shardId, lineage: "x", replaces: "{}" })),
    ),
};

describe.each(SERVERS)("row locks on $name", ({ address }) => {
  describe.each(Object.entries(GO_TABLES))("with %s", (_table, type) => {
    let database: Database;
    let place: Place;

    beforeEach(async () => {
      database = await ownDatabase(address);
      if (type !== undefined) {
        await database.admin.query(`CREATE TABLE kinesis_consumer (namespace ${type},
          shard_id ${type}, sequence_number numeric(65,0) NOT NULL,
          PRIMARY KEY (namespace, shard_id)) ENGINE=InnoDB`);
      }
      const store = openStore({ connection: database.options });
      await store.setup();
      for (const scope of [SCOPE, NEIGHBOUR]) {
        await store.joinWorker(scope, WORKER);
        await store.putShards(
          scope,
          IDS.map((shardId) => ({ shardId, lineage: "{}" })),
        );
        const all = await store.acquireLeases(scope, WORKER, IDS);
        await store.setCheckpoints(
          scope,
          all.map(({ shardId, fence }) => ({ ...writeOf(at(1), shardId), fence })),
        );
      }
      const tables = tablesOf("kinesis_consumer", undefined);
      const { asShardId, hasUserColumns } = await limits(database.admin);
      place = { tables, namespace: NAMESPACE, asShardId, hasUserColumns };
    });

    it.each(Object.entries(STATEMENTS))(
      "%s locks no other shard's rows, and none of another application's",
      async (_name, statement) => {
        for (const level of ["REPEATABLE READ", "READ COMMITTED"]) {
          const connection = await database.admin.getConnection();
          try {
            await connection.query(`SET TRANSACTION ISOLATION LEVEL ${level}`);
            await connection.query("START TRANSACTION");
            await connection.query(statement(place));
            for (const table of ["kinesis_consumer", "kinesis_consumer_leases"]) {
              const free = await unlocked(database.admin, table, NAMESPACE);
              expect(free, table).toStrictEqual(expect.arrayContaining(REST));
              expect(await unlocked(database.admin, table, "another-orders")).toStrictEqual(IDS);
            }
          } finally {
            await connection.query("ROLLBACK");
            connection.release();
          }
        }
      },
    );
  });
});

async function unlocked(pool: Pool, table: string, namespace: string): Promise<readonly string[]> {
  const [rows] = await pool.query<RowDataPacket[]>(
    `SELECT CONVERT(shard_id USING utf8mb4) AS id FROM ${table} FORCE INDEX (PRIMARY)
     WHERE namespace = ? ORDER BY shard_id FOR UPDATE SKIP LOCKED`,
    [namespace],
  );
  return rows.map(({ id }) => String(id));
}

async function limits(pool: Pool) {
  const connection = await pool.getConnection();
  const limit = new CallLimit({
    timeoutMs: 10_000,
    onTimeout: () => new Error("late"),
    signals: [],
  });
  try {
    const tables = tablesOf("kinesis_consumer", undefined);
    return await readCheckedSchema(new Session(connection, limit, true), tables);
  } finally {
    limit.stop();
    connection.release();
  }
}

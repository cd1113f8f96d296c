import type { AcquiredLease, CheckpointWrite } from "@kc/core";
import { beforeEach, describe, expect, it } from "vitest";
import type { MysqlStore } from "../src/index.ts";
import { SERVERS, ownDatabase, ownPool, type Database } from "./support/servers.ts";
import { watched } from "./support/statements.ts";
import { at, openStore, SCOPE, shard, WORKER, writeOf } from "./support/store.ts";

const IDS = [shard(0), shard(1), shard(2)];

/** The server's counts show whether all moved. They must not mistake one write for another. */
describe.each(SERVERS)("a flush is answered by counts on $name", ({ address }) => {
  let database: Database;

  beforeEach(async () => {
    database = await ownDatabase(address);
  });

  async function claimed(store: MysqlStore): Promise<readonly AcquiredLease[]> {
    await store.setup();
    await store.joinWorker(SCOPE, WORKER);
    await store.putShards(
      SCOPE,
      IDS.map((shardId) => ({ shardId, lineage: "{}" })),
    );
    return store.acquireLeases(SCOPE, WORKER, IDS);
  }

  const writes = (
    leases: readonly AcquiredLease[],
    ...numbers: readonly number[]
  ): readonly CheckpointWrite[] =>
    leases.map(({ shardId, fence }, i) => ({ ...writeOf(at(numbers[i]!), shardId), fence }));

  const outcomes = async (
    store: MysqlStore,
    all: readonly CheckpointWrite[],
  ): Promise<readonly string[]> =>
    (await store.setCheckpoints(SCOPE, all)).map(({ outcome }) => outcome);

  it.each([
    ["with found rows counted", ["+FOUND_ROWS"]],
    ["with changed rows counted", ["-FOUND_ROWS"]],
  ])("that show what moved, %s", async (_title, flags) => {
    const store = openStore({ pool: ownPool({ ...database.options, flags }) });
    const leases = await claimed(store);
    expect(await outcomes(store, writes(leases, 5, 5, 5))).toEqual(Array(3).fill("written"));
    expect(await outcomes(store, writes(leases, 6, 6, 6))).toEqual(Array(3).fill("written"));
    expect(await outcomes(store, writes(leases, 7, 6, 5))).toEqual(["written", "same", "behind"]);
    const lost = leases.map((lease, i) =>
      i === 1 ? { ...lease, fence: { ...lease.fence, epoch: 9 } } : lease,
    );
    expect(await outcomes(store, writes(lost, 8, 8, 8))).toEqual([
      "written",
      "lease-lost",
      "written",
    ]);
  });

  it("that count no row as moved whose copy of the lease alone was wiped", async () => {
    const store = openStore({ connection: database.options });
    const leases = await claimed(store);
    await store.setCheckpoints(SCOPE, writes(leases, 5, 5, 5));
    await database.admin.query("UPDATE kinesis_consumer SET kc_epoch = NULL, kc_owner = NULL");
    expect(await outcomes(store, writes(leases, 4, 4, 4))).toEqual(Array(3).fill("behind"));
    expect(await outcomes(store, writes(leases, 6, 6, 6))).toEqual(Array(3).fill("written"));
  });

  it("that count no row as moved which a trigger of the table's owner changed", async () => {
    const setup = openStore({ connection: database.options });
    const leases = await claimed(setup);
    await database.admin.query(
      "ALTER TABLE kinesis_consumer ADD COLUMN tries int NOT NULL DEFAULT 0",
    );
    await database.admin.query(
      "CREATE TRIGGER tried BEFORE UPDATE ON kinesis_consumer FOR EACH ROW SET NEW.tries = OLD.tries + 1",
    );
    const store = openStore({ connection: database.options });
    expect(await outcomes(store, writes(leases, 5, 5, 5))).toEqual(Array(3).fill("written"));
    expect(await outcomes(store, writes(leases, 4, 5, 6))).toEqual(["behind", "same", "written"]);
    expect(await outcomes(store, writes(leases, 4, 4, 4))).toEqual(Array(3).fill("behind"));
  });

  it("in whatever language the server speaks, without a look", async () => {
    const { pool, watch } = await watched(ownPool({ ...database.options, connectionLimit: 1 }));
    const store = openStore({ pool });
    const leases = await claimed(store);
    await store.setCheckpoints(SCOPE, writes(leases, 1, 1, 1));
    let statements = 0;
    for (const [n, language] of ["de_DE", "ja_JP", "fr_FR", "ru_RU"].entries()) {
      await pool.query(`SET lc_messages = '${language}'`);
      watch(() => ((statements += 1), "sent"));
      const all = await outcomes(store, writes(leases, n + 2, n + 2, n + 2));
      watch(() => "sent");
      expect(all, language).toEqual(Array(3).fill("written"));
    }
    expect(statements).toBe(4);
  });
});

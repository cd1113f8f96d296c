import { leaseStoreRound } from "@kc/conformance";
import type { Lifecycle, MysqlAddress } from "@kc-internal/test-services";
import type { PoolOptions } from "mysql2/promise";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createDatabase, SERVERS, type Database } from "./support/servers.ts";
import {
  at,
  expectFailure,
  openStore,
  SCOPE,
  UNAVAILABLE,
  WORKER,
  writeOf,
} from "./support/store.ts";

describe.each(SERVERS)("a server of $name with settings of its own", ({ name, start }) => {
  let server: MysqlAddress & Lifecycle;
  let database: Database;

  beforeAll(async () => {
    server = await start(["--lower-case-table-names=1"]);
    database = await createDatabase(server);
  });
  afterAll(async () => {
    await database?.drop();
    await server?.close();
  });

  it("lower_case_table_names = 1 does all that a store does: one table, whatever its letters", async () => {
    const store = openStore({ connection: database.options, table: "Progress" });
    await store.setup();
    await leaseStoreRound(store);
    await store.setCheckpoint(SCOPE, writeOf(at(1)));
    const same = openStore({ connection: database.options, table: "progress" });
    expect(await same.setCheckpoint(SCOPE, writeOf(at(1)))).toMatchObject({ outcome: "same" });
  });

  /** A user without the right to write on a read-only server. */
  async function plainUser(): Promise<PoolOptions> {
    const user = "plain";
    await database.admin.query(`CREATE USER ${user}@'%' IDENTIFIED BY '${server.password}'`);
    await database.admin.query(
      `GRANT SELECT, INSERT, UPDATE, DELETE ON ${database.name}.* TO ${user}@'%'`,
    );
    onTestFinished(async () => void (await database.admin.query(`DROP USER ${user}@'%'`)));
    return { ...database.options, user };
  }

  // MariaDB has one kind of read-only server.
  it.each(name === "MySQL" ? ["read_only", "super_read_only"] : ["read_only"])(
    "%s is refused by name at the first call, whatever the user's rights",
    async (setting) => {
      await openStore({ connection: database.options }).setup();
      const users = [await plainUser(), database.options];
      await database.admin.query(`SET GLOBAL ${setting} = 1`);
      try {
        for (const connection of users) {
          for (const call of ["getCheckpoints", "listWorkers", "listLeases"] as const) {
            const store = openStore({ connection });
            await expectFailure(store[call](SCOPE), { ...UNAVAILABLE, text: "read-only" });
          }
          const refused = { ...UNAVAILABLE, text: "read-only" };
          await expectFailure(
            openStore({ connection }).setCheckpoint(SCOPE, writeOf(at(1))),
            refused,
          );
          await expectFailure(openStore({ connection }).joinWorker(SCOPE, WORKER), refused);
        }
      } finally {
        await database.admin.query(`SET GLOBAL read_only = 0`);
      }
      await openStore({ connection: database.options }).joinWorker(SCOPE, WORKER);
    },
  );
});

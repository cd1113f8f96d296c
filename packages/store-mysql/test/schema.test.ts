import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import { SERVERS, ownDatabase, ownPool, type Database } from "./support/servers.ts";
import {
  at,
  CONFLICT,
  DENIED,
  expectFailure,
  failure,
  openStore,
  SCOPE,
  SHARD,
  WORKER,
  writeOf,
  WRONG_SCHEMA,
} from "./support/store.ts";

const GO_TABLE = `CREATE TABLE kinesis_consumer (
  namespace varchar(255), shard_id varchar(255), sequence_number numeric(65,0) NOT NULL,
  PRIMARY KEY (namespace, shard_id))`;

const README = readFileSync(new URL("../README.md", import.meta.url), "utf8");
/** The statements for who may not run setup(), and the rights that are enough. */
const README_DDL = /```sql\n(CREATE TABLE[^`]+)```/.exec(README)?.[1];
const README_RIGHTS = [...README.matchAll(/^GRANT ([A-Z, ]+) ON app\.(\w+) TO billing;$/gm)];

describe.each(SERVERS)("the schema on $name", ({ address }) => {
  let database: Database;
  let tables: () => Promise<string>;

  beforeEach(async () => {
    database = await ownDatabase(address);
    tables = async () => {
      const [rows] = await database.admin.query({ sql: "SHOW TABLES", rowsAsArray: true });
      return Object.values(rows).flat().join(" ");
    };
  });

  /** Somebody with these rights alone, in this database. */
  async function userWith(rights: string, on = "*"): Promise<{ user: string; host: string }> {
    const user = database.name.slice(0, 20);
    await database.admin.query(
      `CREATE USER IF NOT EXISTS ${user}@'%' IDENTIFIED BY '${address.password}'`,
    );
    await database.admin.query(`GRANT ${rights} ON ${database.name}.${on} TO ${user}@'%'`);
    return { ...database.options, user, host: address.host };
  }

  const createTables = async (): Promise<void> => {
    await openStore({ connection: database.options }).setup();
  };

  const createDeadLetters = (): Promise<void> =>
    openStore({ connection: database.options }).deadLetters().setup();

  it("is made by setup() alone; without it the error has the statements", async () => {
    const store = openStore({ connection: database.options });
    const { message } = await expectFailure(store.getCheckpoint(SCOPE, SHARD), {
      ...WRONG_SCHEMA,
      text: "run `await store.setup()` once",
    });
    expect(await tables()).toBe("");
    await database.admin.query(message.slice(message.indexOf("CREATE TABLE")));
    const { outcome } = await store.setCheckpoint(SCOPE, writeOf(at(1)));
    expect(outcome).toBe("written");
  });

  it("may come from the README's statements, and be used by who may not create", async () => {
    expect(README_DDL, "the README's statements").toBeDefined();
    await database.admin.query(README_DDL!);
    await createDeadLetters();
    const users = README_RIGHTS.map(([, rights, table]) => userWith(rights!, table));
    expect(users, "a right for each table").toHaveLength(6);
    const [connection] = await Promise.all(users);
    const store = openStore({ connection: connection! });
    await store.setup();
    expect((await store.setCheckpoint(SCOPE, writeOf(at(1, 2)))).outcome).toBe("written");
    expect((await store.setCheckpoint(SCOPE, writeOf({ kind: "shard-end" }))).outcome).toBe(
      "written",
    );
    const row = { ...SCOPE, streamARN: "arn", start: "LATEST", startedAt: new Date(5) } as const;
    const opened = await store.openApplication(SCOPE, { ...row, migrated: false });
    expect(opened.outcome).toBe("created");
    await store.resetCheckpoint(SCOPE, SHARD, undefined);
    expect(await store.getCheckpoints(SCOPE)).toStrictEqual(new Map());
    await store.joinWorker(SCOPE, WORKER);
    await store.putShards(SCOPE, [{ shardId: "b", lineage: "" }]);
    const held = await store.acquireLeases(SCOPE, WORKER, ["b"]);
    expect(await store.releaseLeases(SCOPE, held)).toStrictEqual(["b"]);
    await store.removeShards(SCOPE, ["b"]);
    expect(await store.heartbeat(SCOPE, WORKER)).toMatchObject({ outcome: "alive", counter: 1 });
    expect(await store.evictWorker(SCOPE, { ...WORKER, counter: 1 })).toBe("evicted");

    // A flush that meets a lock takes no other right either.
    const ids = ["c", "d"];
    const flush = (n: number) =>
      store.setCheckpoints(
        SCOPE,
        ids.map((shardId) => writeOf(at(n), shardId)),
      );
    await flush(1);
    const other = await database.admin.getConnection();
    await other.query("START TRANSACTION");
    await other.query(
      "SELECT * FROM kinesis_consumer WHERE namespace = 'billing-orders' AND shard_id = 'd' FOR UPDATE",
    );
    const outcomes = (await flush(2)).map(({ outcome }) => outcome);
    other.destroy();
    expect(outcomes).toStrictEqual(["written", "failed"]);
  });

  it("of one tenant is out of reach of another's rights", async () => {
    for (const table of ["kinesis_consumer", "others"]) {
      await openStore({ connection: database.options, table }).setup();
    }
    await createDeadLetters();
    const users = README_RIGHTS.map(([, rights, table]) => userWith(rights!, table));
    const [connection] = await Promise.all(users);
    const store = openStore({ connection: connection!, table: "others" });
    // It sees no table that it has no right on.
    const calls = [
      () => store.setup(),
      () => store.getCheckpoints(SCOPE),
      () => store.setCheckpoint(SCOPE, writeOf(at(1))),
      () => store.listLeases(SCOPE),
      () => store.listWorkers(SCOPE),
      () => store.joinWorker(SCOPE, WORKER),
    ];
    for (const call of calls) {
      const error = await failure(call());
      expect(["STORE_ACCESS_DENIED", "STORE_SCHEMA"], error.message).toContain(error.code);
    }
    const [rows] = await database.admin.query("SELECT * FROM others");
    expect(rows).toStrictEqual([]);
    const own = openStore({ connection: connection! });
    expect((await own.setCheckpoint(SCOPE, writeOf(at(1)))).outcome).toBe("written");
  });

  it.each([
    ["leases", "epoch = -1"],
    ["leases", "lineage = REPEAT('x', 65536)"],
    ["workers", "weight = 0"],
    ["workers", "max_shards = 0"],
    ["workers", "counter = -1"],
    ["revisions", "revision = -1"],
  ])("refuses a row of %s with %s from every writer", async (table, assignment) => {
    await createTables();
    const store = openStore({ connection: database.options });
    await store.joinWorker(SCOPE, WORKER);
    await store.putShards(SCOPE, [{ shardId: SHARD, lineage: "" }]);
    const update = database.admin.query(`UPDATE kinesis_consumer_${table} SET ${assignment}`);
    // Out of the column's range, too long for it, or against its CHECK.
    await expect(update).rejects.toMatchObject({
      errno: expect.toSatisfy((errno: number) => [1264, 1406, 3819, 4025].includes(errno)),
    });
  });

  it("of a version without leases is completed, and keeps its rows", async () => {
    await createTables();
    const store = openStore({ connection: database.options });
    await store.setCheckpoint(SCOPE, writeOf(at(3)));
    await database.admin.query(`DROP TABLE kinesis_consumer_workers, kinesis_consumer_revisions;
      ALTER TABLE kinesis_consumer_leases DROP COLUMN lineage`);
    const old = openStore({ connection: database.options });
    const text = "ALTER TABLE `kinesis_consumer_leases` ADD COLUMN lineage";
    await expectFailure(old.listLeases(SCOPE), { ...WRONG_SCHEMA, text });
    await old.setup();
    await old.joinWorker(SCOPE, WORKER);
    expect(await old.acquireLeases(SCOPE, WORKER, [SHARD]), "no lease yet").toStrictEqual([]);
    await old.putShards(SCOPE, [{ shardId: SHARD, lineage: "{}" }]);
    const [lease] = await old.acquireLeases(SCOPE, WORKER, [SHARD]);
    expect(lease).toMatchObject({ fence: { epoch: 1 }, checkpoint: at(3) });
  });

  it("keeps workers apart whose names differ in case, and refuses what it would alter", async () => {
    await createTables();
    const store = openStore({ connection: database.options });
    for (const workerId of ["a", "A", "ä"]) {
      const answer = await store.joinWorker(SCOPE, { ...WORKER, workerId });
      expect(answer, workerId).toMatchObject({ outcome: "joined" });
    }
    const refused = { code: "CONFIG_INVALID", retryable: false };
    await expectFailure(store.joinWorker(SCOPE, { ...WORKER, workerId: "a " }), refused);
    const long = { ...WORKER, workerId: "w".repeat(256) };
    await expectFailure(store.joinWorker(SCOPE, long), { ...WRONG_SCHEMA, text: "256" });
    const longest = { ...WORKER, workerId: "w".repeat(255), incarnation: "i".repeat(255) };
    const exact = { ...longest, weight: 0.1 + 0.2, maxShards: 3 };
    await store.joinWorker(SCOPE, exact);
    await store.putShards(SCOPE, [{ shardId: SHARD, lineage: "{}" }]);
    expect(await store.acquireLeases(SCOPE, exact, [SHARD])).toHaveLength(1);
    const { workers } = await store.listWorkers(SCOPE);
    const found = workers.find(({ workerId }) => workerId === exact.workerId);
    expect(found).toStrictEqual({ ...exact, counter: 0 });
  });

  it("of setup() is the README's", async () => {
    await createTables();
    const show = async (): Promise<unknown> => {
      const suffixes = ["", "_leases", "_applications", "_workers", "_revisions"];
      const names = suffixes.map((suffix) => `kinesis_consumer${suffix}`);
      const answers = names.map((name) => database.admin.query(`SHOW CREATE TABLE ${name}`));
      return (await Promise.all(answers)).map(([rows]) => rows);
    };
    const made = await show();
    await database.admin.query(
      `DROP TABLE kinesis_consumer, kinesis_consumer_leases, kinesis_consumer_applications,
         kinesis_consumer_workers, kinesis_consumer_revisions`,
    );
    await database.admin.query(README_DDL!);
    expect(await show()).toStrictEqual(made);
  });

  it("is not made by who may not: the error has the statement", async () => {
    const store = openStore({ connection: await userWith("SELECT") });
    await expectFailure(store.setup(), { ...DENIED, text: "CREATE TABLE IF NOT EXISTS" });
    await createTables();
    await store.setup();
  });

  it("that one may not see is not taken for a missing one", async () => {
    await createTables();
    await database.admin.query("CREATE TABLE other (id int)");
    const store = openStore({ connection: await userWith("SELECT", "other") });
    await expectFailure(store.getCheckpoints(SCOPE), DENIED);
  });

  it("of Go's library is completed by one ALTER, which can be run by hand", async () => {
    await database.admin.query(GO_TABLE);
    await database.admin.query("INSERT INTO kinesis_consumer VALUES ('billing-orders', ?, 7)", [
      SHARD,
    ]);
    const connection = await userWith("SELECT, INSERT, UPDATE, DELETE, CREATE");
    const store = openStore({ connection });
    const text = "ALTER TABLE `kinesis_consumer` ADD COLUMN kc_at";
    await expectFailure(store.getCheckpoints(SCOPE), { ...WRONG_SCHEMA, text });
    const { message } = await expectFailure(store.setup(), { ...DENIED, text });
    await database.admin.query(message.slice(message.indexOf("ALTER TABLE")));
    await store.setup();
    const seven = { kind: "position", sequenceNumber: "7" };
    expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(seven);
  });

  it("of Go's library is completed where another process was faster with a column", async () => {
    await database.admin.query(GO_TABLE);
    await database.admin.query("ALTER TABLE kinesis_consumer ADD COLUMN kc_at decimal(65,0) NULL");
    const stores = [1, 2, 3, 4].map(() => openStore({ connection: database.options }));
    await Promise.all(stores.map((store) => store.setup()));
    await stores[0]!.setCheckpoint(SCOPE, writeOf(at(1, 2)));
    expect(await stores[1]!.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(1, 2));
  });

  const COLUMNS =
    "namespace varchar(100) NOT NULL, shard_id varchar(100) NOT NULL, sequence_number decimal(65,0)";

  it.each([
    ["of another purpose", "(id int PRIMARY KEY)", "belongs to another program"],
    ["without a key", `(${COLUMNS})`, "needs the primary key"],
    ["with a wider key", `(${COLUMNS}, n int, PRIMARY KEY (namespace, shard_id, n))`, "needs the"],
    [
      "without transactions",
      `(${COLUMNS}, PRIMARY KEY (namespace, shard_id)) ENGINE=MyISAM`,
      "ENGINE=InnoDB",
    ],
  ])("refuses a table %s, in setup() too", async (_title, definition, text) => {
    await database.admin.query(`CREATE TABLE kinesis_consumer ${definition}`);
    const store = openStore({ connection: database.options });
    await expectFailure(store.setup(), { ...WRONG_SCHEMA, text });
    await expectFailure(store.setCheckpoint(SCOPE, writeOf(at(1))), WRONG_SCHEMA);
  });

  it("leaves a table of another purpose as it is", async () => {
    await database.admin.query("CREATE TABLE kinesis_consumer (id int PRIMARY KEY)");
    await expectFailure(openStore({ connection: database.options }).setup(), WRONG_SCHEMA);
    const [columns] = await database.admin.query("SHOW COLUMNS FROM kinesis_consumer");
    expect(columns).toHaveLength(1);
    expect(await tables()).toBe("kinesis_consumer");
  });

  it.each(["bigint", "decimal(20,0)", "decimal(65,2)", "double"])(
    "refuses sequence numbers of the type %s, with the statement",
    async (type) => {
      await createTables();
      await database.admin.query(`ALTER TABLE kinesis_consumer MODIFY sequence_number ${type}`);
      const store = openStore({ connection: database.options });
      await expectFailure(store.getCheckpoints(SCOPE), {
        ...WRONG_SCHEMA,
        text: "MODIFY sequence_number decimal(65,0) NOT NULL",
      });
    },
  );

  it("refuses names that the table cannot hold, whatever the sql_mode", async () => {
    await database.admin.query(GO_TABLE);
    await createTables();
    const pool = ownPool(database.options);
    pool.on("connection", (connection) => void connection.query("SET sql_mode = ''"));
    const store = openStore({ pool });
    const longest = { application: "a".repeat(248), streamName: "orders" };
    expect((await store.setCheckpoint(longest, writeOf(at(1)))).outcome).toBe("written");
    const long = { application: "a".repeat(249), streamName: "orders" };
    const text = "256 characters";
    await expectFailure(store.setCheckpoint(long, writeOf(at(2))), { ...WRONG_SCHEMA, text });
    await expectFailure(store.getCheckpoints(long), { ...WRONG_SCHEMA, text });
    await expectFailure(store.setCheckpoint(SCOPE, writeOf(at(1), "s".repeat(256))), {
      ...WRONG_SCHEMA,
      text,
    });
    const number = { kind: "position", sequenceNumber: "1".repeat(66) } as const;
    await expectFailure(store.setCheckpoint(SCOPE, writeOf(number)), {
      code: "STORE_FAILED",
      retryable: false,
      text: "66 digits",
    });
    const most = { kind: "position", sequenceNumber: "9".repeat(65) } as const;
    await store.setCheckpoint(SCOPE, writeOf(most));
    expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(most);
  });

  it("refuses a shard whose name MySQL would take for another", async () => {
    await createTables();
    const store = openStore({ connection: database.options });
    await store.setCheckpoint(SCOPE, writeOf(at(1), "s"));
    await expectFailure(store.getCheckpoint(SCOPE, "s "), {
      code: "CONFIG_INVALID",
      retryable: false,
    });
  });

  describe("whose collation ignores case, as Go's tables mostly have it", () => {
    beforeEach(async () => {
      await database.admin.query(`${GO_TABLE} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci`);
      await createTables();
    });

    it("keeps applications apart that differ in more than case", async () => {
      const store = openStore({ connection: database.options });
      for (const [index, application] of ["billing", "audit", "請求"].entries()) {
        await store.setCheckpoint({ ...SCOPE, application }, writeOf(at(9 - index)));
        const found = await store.getCheckpoints({ ...SCOPE, application });
        expect(found).toStrictEqual(new Map([[SHARD, at(9 - index)]]));
      }
    });

    it.each(["Billing", "bílling"])(
      "refuses %s beside billing, whatever it calls",
      async (name) => {
        const store = openStore({ connection: database.options });
        await store.setCheckpoint(SCOPE, writeOf(at(5)));
        const other = { ...SCOPE, application: name };
        await expectFailure(store.getCheckpoints(other), { ...CONFLICT, text: "billing-orders" });
        await expectFailure(store.getCheckpoint(other, SHARD), CONFLICT);
        await expectFailure(store.setCheckpoint(other, writeOf(at(9))), CONFLICT);
        await expectFailure(store.resetCheckpoint(other, SHARD, at(1), { force: true }), CONFLICT);
        expect(await store.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(5));
      },
    );
  });

  it("of Latin letters takes names of ASCII, and refuses others", async () => {
    await database.admin.query(`${GO_TABLE} CHARACTER SET latin1`);
    await createTables();
    const store = openStore({ connection: database.options });
    await store.setCheckpoint(SCOPE, writeOf(at(1, 1)));
    expect(await store.getCheckpoints(SCOPE)).toStrictEqual(new Map([[SHARD, at(1, 1)]]));
    const other = { ...SCOPE, application: "Zahlungsläufe" };
    const text = "utf8mb4";
    await expectFailure(store.setCheckpoint(other, writeOf(at(1))), { ...WRONG_SCHEMA, text });
    await expectFailure(store.getCheckpoints(other), { ...WRONG_SCHEMA, text });
  });

  it("of bytes takes any name", async () => {
    await database.admin.query(GO_TABLE.replaceAll("varchar(255)", "varbinary(1020)"));
    await createTables();
    const store = openStore({ connection: database.options });
    const application = "請求 🦊";
    await store.setCheckpoint({ ...SCOPE, application }, writeOf(at(1)));
    const found = await store.getCheckpoints({ ...SCOPE, application });
    expect(found).toStrictEqual(new Map([[SHARD, at(1)]]));
  });

  it("that was dropped under an open store is asked for again", async () => {
    await createTables();
    const store = openStore({ connection: database.options });
    await store.setCheckpoint(SCOPE, writeOf(at(1)));
    for (const table of ["kinesis_consumer", "kinesis_consumer_leases"]) {
      await database.admin.query(`DROP TABLE ${table}`);
      const text = "store.setup()";
      await expectFailure(store.setCheckpoint(SCOPE, writeOf(at(2))), { ...WRONG_SCHEMA, text });
      await expectFailure(store.setCheckpoint(SCOPE, writeOf(at(2))), {
        ...WRONG_SCHEMA,
        text: "CREATE TABLE",
      });
      await createTables();
      expect((await store.setCheckpoint(SCOPE, writeOf(at(2)))).outcome).toMatch(/written|same/);
    }
  });

  it("in no database, or in one that is not there, is refused", async () => {
    const { host, port, user, password } = address;
    const server = { host, port, user, password };
    const nowhere = openStore({ connection: server });
    await expectFailure(nowhere.setup(), { ...WRONG_SCHEMA, text: "name the database" });
    await expectFailure(nowhere.getCheckpoints(SCOPE), WRONG_SCHEMA);
    const missing = openStore({ connection: { ...server, database: "not_there" } });
    await expectFailure(missing.getCheckpoints(SCOPE), WRONG_SCHEMA);
  });
});

import { existsSync, readFileSync } from "node:fs";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import {
  type PgBouncerServer,
  type PostgresAddress,
  type PostgresServer,
  startPgBouncer,
  startPostgres,
} from "../src/index.ts";

/** Those that run. Read at once: a process started to look would look too late. */
function running(pids: readonly number[]): number[] {
  return pids.filter((pid) => {
    const stat = `/proc/${pid}/stat`;
    return existsSync(stat) && !/\) [ZX]/.test(readFileSync(stat, "utf8"));
  });
}

async function client({ connectionString }: PostgresAddress): Promise<Client> {
  const connected = new Client({ connectionString });
  // Told of a connection that breaks while it is idle; without a listener the process would end.
  connected.on("error", () => undefined);
  await connected.connect();
  onTestFinished(() => connected.end());
  return connected;
}

test("the shared Postgres is PostgreSQL, with a database for each test file", async () => {
  const shared = await client(inject("postgres"));
  const { rows } = await shared.query<{ version: string }>("SELECT version()");
  expect(rows[0]?.version).toMatch(/^PostgreSQL 1\d\./);
  await shared.query("CREATE DATABASE of_this_file");
  await shared.query("DROP DATABASE of_this_file");
});

test("its connections are served by processes of their own: SKIP LOCKED skips", async () => {
  const holder = await client(inject("postgres"));
  const other = await client(inject("postgres"));
  await holder.query("CREATE TABLE locked AS SELECT 1 AS id");
  await holder.query("BEGIN");
  await holder.query("SELECT id FROM locked FOR UPDATE");
  const { rows } = await other.query("SELECT id FROM locked FOR UPDATE SKIP LOCKED");
  expect(rows).toEqual([]);
  await holder.query("ROLLBACK");
  await holder.query("DROP TABLE locked");
});

test.each<[string, () => Promise<PostgresAddress | PgBouncerServer>]>([
  ["Postgres", async () => inject("postgres")],
  ["PgBouncer before it", () => startPgBouncer(inject("postgres"))],
])("%s refuses a login without the password", async (_, start) => {
  const server = await start();
  if ("close" in server) onTestFinished(() => server.close());
  for (const user of [server.user, "nobody_there"]) {
    const { host, port, database } = server;
    const stranger = new Client({ host, port, database, user, password: "guessed" });
    stranger.on("error", () => undefined);
    await expect(stranger.connect()).rejects.toThrow(/password authentication failed|SASL/);
  }
});

test("its processes have no capability: who connects reads no file of another user by it", async () => {
  const shared = await client(inject("postgres"));
  const { rows } = await shared.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  const status = readFileSync(`/proc/${rows[0]!.pid}/status`, "utf8");
  expect(/^CapEff:\t(.*)$/m.exec(status)?.[1]).toBe("0000000000000000");
  expect(/^CapAmb:\t(.*)$/m.exec(status)?.[1]).toBe("0000000000000000");
});

describe("a Postgres of one's own", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.close());

  test("frozen, answers nothing, and what it was asked once it is thawed", async () => {
    const idle = await client(server);
    server.freeze();
    const order: string[] = [];
    const answer = idle.query("SELECT 1").then(() => order.push("answered"));
    // One that ran would answer sooner than another can be connected to.
    await client(inject("postgres"));
    order.push("thawed");
    server.thaw();
    await answer;
    expect(order).toEqual(["thawed", "answered"]);
  });

  test("killed with many backends at work, leaves none of them behind", async () => {
    for (let round = 0; round < 5; round += 1) {
      const backends = await Promise.all(Array.from({ length: 40 }, () => client(server)));
      const pids = await Promise.all(
        backends.map(async (backend) => {
          const { rows } = await backend.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
          // Memory to let go of.
          void backend
            .query("SELECT count(DISTINCT i) FROM generate_series(1, 300000) i")
            .catch(() => undefined);
          return rows[0]!.pid;
        }),
      );
      await server.kill();
      expect(running(pids)).toEqual([]);
      await server.restart();
    }
  });

  test("killed and restarted, is at the same port, with what was committed", async () => {
    const before = await client(server);
    await before.query("CREATE TABLE kept AS SELECT 42 AS answer");
    await server.kill();
    await expect(before.query("SELECT 1")).rejects.toThrow(/connection|ECONNRESET/i);
    await expect(client(server)).rejects.toThrow("ECONNREFUSED");
    await server.restart();
    const after = await client(server);
    const { rows } = await after.query("SELECT answer FROM kept");
    expect(rows).toEqual([{ answer: 42 }]);
  });

  test("stopped, says goodbye", async () => {
    const told = await client(server);
    const goodbye = new Promise<Error>((resolve) => told.once("error", resolve));
    await server.stop();
    await expect(goodbye).resolves.toMatchObject({ code: "57P01" });
    await server.restart();
  });
});

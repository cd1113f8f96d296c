import { Client } from "pg";
import { expect, inject, onTestFinished, test } from "vitest";
import { startPgBouncer } from "../src/index.ts";

async function client(connectionString: string): Promise<Client> {
  const connected = new Client({ connectionString });
  await connected.connect();
  onTestFinished(() => connected.end());
  return connected;
}

async function backend(of: Client): Promise<unknown> {
  const { rows } = await of.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  return rows[0]?.pid;
}

test("PgBouncer gives a connection to Postgres to one client's transaction after another's", async () => {
  const server = await startPgBouncer(inject("postgres"), { poolSize: 1 });
  onTestFinished(() => server.close());
  const [one, other] = [
    await client(server.connectionString),
    await client(server.connectionString),
  ];
  expect(await backend(one)).toBe(await backend(other));

  await one.query("BEGIN");
  const order: string[] = [];
  const waiting = backend(other).then(() => order.push("other"));
  await one.query("SELECT 1");
  await one.query("COMMIT").then(() => order.push("one"));
  await waiting;
  expect(order).toEqual(["one", "other"]);
});

test("its console says that it is PgBouncer", async () => {
  const server = await startPgBouncer(inject("postgres"));
  onTestFinished(() => server.close());
  const console = await client(server.connectionString.replace(/\w+$/, "pgbouncer"));
  const { rows } = await console.query<{ version: string }>("SHOW VERSION");
  expect(rows[0]?.version).toMatch(/^PgBouncer 1\./);
});

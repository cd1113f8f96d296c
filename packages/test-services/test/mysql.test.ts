import { type Connection, createConnection } from "mysql2/promise";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { type MysqlAddress, startMariadb } from "../src/index.ts";

async function connect({ host, port, user, password }: MysqlAddress): Promise<Connection> {
  const connection = await createConnection({ host, port, user, password });
  // Told of a connection that breaks; without a listener the process would end.
  connection.on("error", () => undefined);
  onTestFinished(() => connection.destroy());
  return connection;
}

async function value(connection: Connection, sql: string): Promise<unknown> {
  const [rows] = await connection.query({ sql, rowsAsArray: true });
  return (rows as unknown[][])[0]?.[0];
}

const mysql = inject("mysql");
const servers = [
  {
    name: "MariaDB",
    shared: inject("mariadb"),
    version: /^1\d\.\d+\.\d+-MariaDB/,
  },
  // Where it is not available, the set-up has reported it.
  ...(mysql === undefined
    ? []
    : [
        {
          name: "MySQL",
          shared: mysql,
          version: /^[89]\.\d+\.\d+(?!.*MariaDB)/,
        },
      ]),
];

describe.each(servers)("$name", ({ shared, version }) => {
  test("is the real one, with a database for each test file", async () => {
    const connection = await connect(shared);
    expect(await value(connection, "SELECT VERSION()")).toMatch(version);
    await connection.query("CREATE DATABASE of_this_file");
    await connection.query("DROP DATABASE of_this_file");
  });

  test.each(["tests", "root", ""])("refuses a login without the password: '%s'", async (user) => {
    const { host, port } = shared;
    const connecting = createConnection({ host, port, user });
    await expect(connecting).rejects.toThrow(/Access denied|not allowed to connect/);
  });

  test("skips what another connection has locked", async () => {
    const [holder, other] = [await connect(shared), await connect(shared)];
    await holder.query("CREATE DATABASE locks");
    await holder.query("CREATE TABLE locks.locked (id INT PRIMARY KEY)");
    await holder.query("INSERT INTO locks.locked VALUES (1)");
    await holder.query("BEGIN");
    await holder.query("SELECT id FROM locks.locked FOR UPDATE");
    const [rows] = await other.query("SELECT id FROM locks.locked FOR UPDATE SKIP LOCKED");
    expect(rows).toEqual([]);
    await holder.query("ROLLBACK");
    await holder.query("DROP DATABASE locks");
  });
});

test("frozen, MariaDB answers nothing; killed and restarted, it has what was committed", async () => {
  await using server = await startMariadb();
  const before = await connect(server);
  await before.query("CREATE DATABASE kept");
  await before.query("CREATE TABLE kept.answers (answer INT PRIMARY KEY)");

  server.freeze();
  const order: string[] = [];
  const answer = before
    .query("INSERT INTO kept.answers VALUES (42)")
    .then(() => order.push("answered"));
  // One that ran would answer sooner than another can be connected to.
  await connect(inject("mariadb"));
  order.push("thawed");
  server.thaw();
  await answer;
  expect(order).toEqual(["thawed", "answered"]);

  await server.kill();
  await expect(connect(server)).rejects.toThrow("ECONNREFUSED");
  await server.restart();
  expect(await value(await connect(server), "SELECT answer FROM kept.answers")).toBe(42);
});

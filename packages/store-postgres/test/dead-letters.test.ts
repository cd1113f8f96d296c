import { letterAt, sendLetters } from "@kc/conformance";
import { expect, inject, test } from "vitest";
import { PostgresStore } from "../src/index.ts";
import { LOCK_SETUP } from "../src/setup.ts";
import { DENIED, failure, open, role, SCHEMA, untilWaiting } from "./support/open.ts";

const LETTER = letterAt(0);
const send = (store: PostgresStore): Promise<void> => sendLetters(store.deadLetters(), [LETTER]);

test("the store's own setup makes no table of dead letters, and without one letters are refused with the statement to run", async () => {
  const { store, admin, schema } = await open(inject("postgres"));
  const error = await failure(send(store));
  expect(error).toMatchObject(SCHEMA);
  expect(String(error)).toContain("Run `await store.deadLetters().setup()` once");
  const [, statement = ""] = String(error).split("as the tables' owner:\n");
  await admin.query(statement);
  await send(store);
  const { rows } = await admin.query(
    `SELECT application, letter::json->>'shardId' AS shard, convert_from(data, 'UTF8') AS data
       FROM ${schema}.kinesis_consumer_dead_letters`,
  );
  expect(rows).toEqual([{ application: "billing", shard: LETTER.shardId, data: '{"order":0}' }]);
});

test("setup waits for another one that is under way: two that make one table at once would both fail", async () => {
  const opened = await open(inject("postgres"));
  const { store, admin } = opened;
  const other = await admin.connect();
  await other.query(`BEGIN; ${LOCK_SETUP}`);
  const setup = store.deadLetters().setup();
  await untilWaiting(opened, 1);
  await other.query("COMMIT");
  other.release();
  await setup;
  await send(store);
  await store.deadLetters().setup();
  expect(await store.deadLetters().get(LETTER.id)).toStrictEqual(LETTER);
});

test("a user who may not create tables gets the statement, and needs no right where the table is", async () => {
  const opened = await open(inject("postgres"));
  const user = await role(opened);
  await opened.admin.query(`GRANT USAGE ON SCHEMA ${opened.schema} TO ${user}`);
  const { host, port, password, database } = inject("postgres");
  await using store = new PostgresStore({
    connection: { host, port, user, password, database },
    schema: opened.schema,
  });
  const error = await failure(store.deadLetters().setup());
  expect(error).toMatchObject(DENIED);
  expect(String(error)).toContain('_dead_letters" (\n  id text COLLATE "C" PRIMARY KEY');
  await opened.store.deadLetters().setup();
  await opened.admin.query(
    `GRANT SELECT, INSERT, UPDATE ON ${opened.schema}.kinesis_consumer_dead_letters TO ${user}`,
  );
  await store.deadLetters().setup();
  await send(store);
});

test("a table of somebody else's is refused", async () => {
  const { store, admin, schema } = await open(inject("postgres"));
  await admin.query(`CREATE TABLE ${schema}.kinesis_consumer_dead_letters (id text)`);
  expect(await failure(store.deadLetters().setup())).toMatchObject(SCHEMA);
});

import { letterAt, sendLetters } from "@kc/conformance";
import type { DeadLetter } from "@kc/core";
import { describe, expect, onTestFinished, test } from "vitest";
import { MysqlStore } from "../src/index.ts";
import { ownDatabase, SERVERS, type Database } from "./support/servers.ts";

const LETTER = letterAt(0);
const send = (store: MysqlStore, letter: DeadLetter = LETTER): Promise<void> =>
  sendLetters(store.deadLetters(), [letter]);

function storeIn(database: Database): MysqlStore {
  const store = new MysqlStore({ connection: database.options });
  onTestFinished(() => store.close());
  return store;
}

describe.each(SERVERS)("dead letters on $name", ({ address }) => {
  test("without their table are refused with the statement to run", async () => {
    const database = await ownDatabase(address);
    const store = storeIn(database);
    const error = String(await send(store).catch((thrown: unknown) => thrown));
    expect(error).toContain("run `await store.deadLetters().setup()` once, or\n");
    await database.admin.query(error.slice(error.indexOf("CREATE TABLE")).split(";")[0] ?? "");
    await send(store);
    await Promise.all([store.deadLetters().setup(), storeIn(database).deadLetters().setup()]);
    expect(await store.deadLetters().get(LETTER.id)).toStrictEqual(LETTER);
  });

  test("of an application whose name ends in a space are another's", async () => {
    const store = storeIn(await ownDatabase(address));
    await store.deadLetters().setup();
    await send(store, { ...LETTER, application: "billing " });
    expect(await store.deadLetters().list({ application: "billing" })).toEqual({ letters: [] });
    const { letters } = await store.deadLetters().list({ application: "billing " });
    expect(letters).toHaveLength(1);
  });

  test("in a table of somebody else's are refused", async () => {
    const database = await ownDatabase(address);
    await database.admin.query("CREATE TABLE kinesis_consumer_dead_letters (id int)");
    await expect(storeIn(database).deadLetters().setup()).rejects.toMatchObject({
      code: "STORE_SCHEMA",
    });
  });
});

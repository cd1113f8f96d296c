import { join } from "node:path";
import { letterAt, sendLetters } from "@kc/conformance";
import Libsql from "libsql";
import { expect, onTestFinished, test } from "vitest";
import { SqliteStore } from "../src/index.ts";
import { temporaryDirectory } from "./support/files.ts";

const LETTER = letterAt(0);
const SCOPE = { application: "billing", streamName: "orders" };
const send = (store: SqliteStore): Promise<void> => sendLetters(store.deadLetters(), [LETTER]);

function temporaryFile(): string {
  const directory = temporaryDirectory();
  onTestFinished(() => directory.remove());
  return join(directory.path, "letters.db");
}

test("without the table letters are refused, and the error says what to run", async () => {
  await using store = new SqliteStore({ path: temporaryFile() });
  await store.setup();
  await expect(send(store)).rejects.toMatchObject({
    code: "STORE_SCHEMA",
    message: expect.stringContaining("run `await store.deadLetters().setup()` once"),
  });
  await store.deadLetters().setup();
  await store.deadLetters().setup();
  await send(store);
  expect(await store.deadLetters().get(LETTER.id)).toStrictEqual(LETTER);
});

test("in an empty file the store's tables are made too, so that it knows the file again", async () => {
  await using store = new SqliteStore({ path: temporaryFile() });
  await store.deadLetters().setup();
  expect(await store.getCheckpoints(SCOPE)).toEqual(new Map());
});

test("on a database that was handed in, a letter is the owner's to read by SQL", async () => {
  const database = new Libsql(temporaryFile());
  onTestFinished(() => void database.close());
  await using store = new SqliteStore({ database });
  await store.deadLetters().setup();
  await send(store);
  const rows = database
    .prepare("SELECT application, letter ->> 'shardId' AS shard FROM kc_dead_letters")
    .all([]);
  expect(rows).toEqual([{ application: "billing", shard: LETTER.shardId }]);
});

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { letterAt, sendLetters } from "@kc/conformance";
import { startRedis } from "@kc-internal/test-services";
import { Redis } from "ioredis";
import { expect, inject, onTestFinished, test } from "vitest";
import { RedisStore } from "../src/index.ts";

const LETTER = letterAt(0);
const send = (store: RedisStore): Promise<void> => sendLetters(store.deadLetters(), [LETTER]);

test("nothing is left of letters that were removed", async () => {
  const client = new Redis(inject("redis").url);
  onTestFinished(() => client.disconnect());
  const keyPrefix = `${randomUUID()}:`;
  await using store = new RedisStore({ client, keyPrefix });
  await send(store);
  expect((await client.keys(`${keyPrefix}*`)).toSorted()).toEqual(
    ["applications", "data", "ids", "ids_by_application", "letters"].map(
      (name) => `${keyPrefix}{kc:dead-letters}/${name}`,
    ),
  );
  await store.deadLetters().remove([LETTER.id]);
  expect(await client.keys(`${keyPrefix}*`)).toEqual([]);
});

test("a user with the rights of the README can send, list and remove letters", async () => {
  const admin = new Redis(inject("redis").url);
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const [, letters = "", zsets = ""] =
    /needs `(~\S+)` and `(\+hset [^`]+)` beside/.exec(readme) ?? [];
  const [, general = ""] = /-@all (\+evalsha [^\n]+)/.exec(readme) ?? [];
  const name = randomUUID();
  const keyPrefix = `${name}:`;
  const rights = [...general.split(" "), ...zsets.split(" ")];
  const keys = letters.replace("~", `~${keyPrefix}`);
  await admin.call("ACL", "SETUSER", name, "on", ">any", "resetkeys", keys, "-@all", ...rights);
  const { host, port } = inject("redis");
  const client = new Redis({ host, port, username: name, password: "any" });
  onTestFinished(async () => {
    client.disconnect();
    await admin.call("ACL", "DELUSER", name);
    admin.disconnect();
  });
  await using store = new RedisStore({ client, keyPrefix });
  await send(store);
  expect(await store.deadLetters().list({ application: "billing" })).toEqual({ letters: [LETTER] });
  await store.deadLetters().remove([LETTER.id]);
  expect(await store.deadLetters().get(LETTER.id)).toBeUndefined();
});

test("a server that evicts any key is refused: it would lose letters", async () => {
  await using server = await startRedis();
  const client = new Redis(server.url);
  onTestFinished(() => client.disconnect());
  await client.config("SET", "maxmemory", "100mb");
  await client.config("SET", "maxmemory-policy", "allkeys-lru");
  await using store = new RedisStore({ client });
  await expect(send(store)).rejects.toMatchObject({ code: "STORE_FAILED" });
});

import { randomUUID } from "node:crypto";
import type { DeadLetter } from "@kc/core";
import { startRedis } from "@kc-internal/test-services";
import { Redis } from "ioredis";
import { expect, inject, onTestFinished, test } from "vitest";
import { RedisStore } from "../src/index.ts";

const LETTER: DeadLetter = {
  id: "38ec40c38b14a2ab34710232b3011479",
  streamName: "orders",
  application: "billing",
  shardId: "shardId-000000000000",
  sequenceNumber: "495903382714902566085596925383615710959215759891365888",
  data: new TextEncoder().encode("an order"),
  approximateArrivalTimestamp: new Date("2026-11-28T09:00:00.001Z"),
  attempts: 3,
  firstFailedAt: new Date("2026-11-28T09:00:02.003Z"),
  reason: "attempts",
  error: { name: "Error", message: "no stock" },
};
const send = (store: RedisStore): Promise<void> =>
  store.deadLetters().send([LETTER], { signal: new AbortController().signal });

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

test("a server that evicts any key is refused: it would lose letters", async () => {
  await using server = await startRedis();
  const client = new Redis(server.url);
  onTestFinished(() => client.disconnect());
  await client.config("SET", "maxmemory", "100mb");
  await client.config("SET", "maxmemory-policy", "allkeys-lru");
  await using store = new RedisStore({ client });
  await expect(send(store)).rejects.toMatchObject({ code: "STORE_FAILED" });
});

import { Redis } from "ioredis";
import { expect, inject, onTestFinished, test } from "vitest";
import { type RedisAddress, startRedis } from "../src/index.ts";

function client({ url }: RedisAddress): Redis {
  const redis = new Redis(url, { retryStrategy: null, maxRetriesPerRequest: 0 });
  // Told of a connection that breaks; without a listener it prints to the console.
  redis.on("error", () => undefined);
  onTestFinished(() => redis.disconnect());
  return redis;
}

test("the shared Redis is Redis", async () => {
  expect(await client(inject("redis")).info("server")).toMatch(/redis_version:[678]\./);
});

test("a frozen Redis answers nothing, and what it was asked once it is thawed", async () => {
  await using server = await startRedis();
  const redis = client(server);
  await redis.ping();
  server.freeze();
  const order: string[] = [];
  const answer = redis.ping().then(() => order.push("answered"));
  // One that ran would answer sooner than another can be connected to.
  await client(inject("redis")).ping();
  order.push("thawed");
  server.thaw();
  await answer;
  expect(order).toEqual(["thawed", "answered"]);
});

test.each([
  { appendonly: true, kept: "42" },
  { appendonly: false, kept: null },
])("a killed Redis with appendonly=$appendonly keeps $kept", async ({ appendonly, kept }) => {
  await using server = await startRedis({ appendonly });
  await client(server).set("answer", "42");
  await server.kill();
  await expect(client(server).get("answer")).rejects.toThrow(/connection|ECONNREFUSED/i);
  await server.restart();
  expect(await client(server).get("answer")).toBe(kept);
});

test("a client of a test's Redis writes no file elsewhere, and loads no code", async () => {
  const redis = client(inject("redis"));
  for (const [command, ...args] of [
    ["CONFIG", "SET", "dir", "/tmp"],
    ["CONFIG", "SET", "dbfilename", "other"],
    ["MODULE", "LOAD", "/tmp/module.so"],
    ["DEBUG", "RELOAD"],
  ] as const) {
    await expect(redis.call(command, ...args), `${command} ${args[0]}`).rejects.toThrow(
      /protected config|not allowed/,
    );
  }
});

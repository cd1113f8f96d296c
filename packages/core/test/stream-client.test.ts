import { KinesisClient, ListShardsCommand } from "@aws-sdk/client-kinesis";
import { expect, test, vi } from "vitest";
import { Consumer } from "../src/index.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";
import { StreamClient } from "../src/kinesis/stream-client.ts";
import { streamNameOf, type StreamId } from "../src/kinesis/stream-id.ts";
import { STREAM, World } from "./support/world.ts";

const ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";

test("3,000 shards are listed in pages of 1,000, and a page's token comes without the stream's name", async () => {
  const world = await World.of({ shards: 3000 });
  const listing = await clientOf(world).listShards(never());

  expect(listing).toHaveLength(3000);
  expect(new Set(listing.map(({ shardId }) => shardId)).size).toBe(3000);
  const pages = world.kinesis.calls.map(({ input }) => Object.keys(input));
  expect(pages).toEqual([["StreamName"], ["NextToken"], ["NextToken"]]);
});

test("a consumer reads all of 3,000 shards, and Node sees no leak in their listeners", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on("warning", onWarning);
  const world = await World.of({ shards: 3000 });
  const run = await world.start();
  await world.clock.advance(1000);

  expect(world.counter.gauge("shards")["reading"]).toBe(3000);
  await run.stop();
  process.off("warning", onWarning);
  expect(run.error).toBeUndefined();
  expect(warnings).toEqual([]);
});

test("a thousand shards start together, at most 40 calls at once; those in line see an abort", async () => {
  const shards = 1000;
  const world = await World.of({ shards });
  const stop = world.kinesis.faults.delay({ times: Infinity, ms: 10, operation: "GetRecords" });
  let most = 0;
  let underWay = 0;
  const client = {
    send: async (command: never, options?: { abortSignal?: AbortSignal }) => {
      underWay += 1;
      most = Math.max(most, underWay);
      return world.kinesis.send(command, options).finally(() => (underWay -= 1));
    },
  };
  const run = await world.start({ client, maxBufferedBytes: 1024 ** 3 });
  expect(most).toBe(40);
  // 1,000 calls of 10 ms, 40 at a time.
  await world.clock.advance(250);
  expect(world.kinesis.countOf("GetRecords")).toBeGreaterThanOrEqual(shards);
  stop();
  await run.stop();
  expect(run.error).toBeUndefined();
  expect(world.clock.pendingTimers).toBe(0);
});

test("a token that expires makes the listing start over, and name no shard twice", async () => {
  const world = await World.of({ shards: 2500 });
  // Each try times out after 30 s: by the twelfth the token is older than its 300 s.
  world.kinesis.faults.delay({ operation: "ListShards", call: 3, times: 12, ms: 40_000 });
  const listing = clientOf(world).listShards(never());
  await world.clock.advance(600_000);

  expect(new Set((await listing).map(({ shardId }) => shardId)).size).toBe(2500);
  expect(await listing).toHaveLength(2500);
  expect(world.logger.find("warn", /starts over/)).toHaveLength(1);
});

test("tokens that expire at once, again and again, make no loop without a pause", async () => {
  const world = await World.of({ shards: 1001 });
  world.kinesis.faults.fail({
    operation: "ListShards",
    times: Infinity,
    where: (input) => "NextToken" in input,
    error: "ExpiredNextTokenException",
  });
  const stop = new AbortController();
  const listing = clientOf(world).listShards(stop.signal);
  listing.catch(() => {});
  await world.clock.advance(10_000);
  stop.abort();

  await expect(listing).rejects.toBe(stop.signal.reason);
  expect(world.kinesis.countOf("ListShards")).toBeLessThan(40);
});

test("LimitExceeded backs off, and a stream that is being changed is waited for", async () => {
  const world = await World.of({ shards: 3 });
  world.kinesis.faults.fail({ operation: "ListShards", times: 3, error: "LimitExceededException" });
  world.kinesis.faults.fail({
    operation: "ListShards",
    call: 4,
    times: 3,
    error: "ResourceInUseException",
  });
  const listing = clientOf(world).listShards(never());
  await world.clock.advance(60_000);

  expect(await listing).toHaveLength(3);
  expect(world.kinesis.countOf("ListShards")).toBe(7);
});

test.each([
  ["one and the same", () => "again", 1],
  ["ever another", (page: number) => `page ${page}`, 1000],
] as const)(
  "a listing without an end, whose token is %s, is tried for a minute and then named",
  async (_which, tokenOf, pages) => {
    const world = await World.of();
    let calls = 0;
    const client = {
      send: async (command: object): Promise<unknown> => {
        if (!(command instanceof ListShardsCommand)) return world.kinesis.send(command as never);
        calls += 1;
        const reply = await world.kinesis.send(new ListShardsCommand({ StreamName: STREAM }));
        return { ...reply, NextToken: tokenOf(calls) };
      },
    };
    const run = await world.start({ client });
    await world.clock.advance(90_000);

    expect(run.error).toMatchObject({
      code: "KINESIS_FAILED",
      message: expect.stringContaining("without an end"),
    });
    expect(calls).toBeLessThan(pages + 30);
  },
);

test("an empty token is none: the listing is complete", async () => {
  const world = await World.of();
  const client = {
    send: async (command: object): Promise<unknown> => {
      const reply: object = await world.kinesis.send(command as never);
      return command instanceof ListShardsCommand ? { ...reply, NextToken: "" } : reply;
    },
  };
  await world.put("a", "1");
  const run = await world.start({ client, start: "TRIM_HORIZON" });
  await world.clock.advance(1000);

  expect(run.texts).toEqual(["1"]);
  expect(world.kinesis.countOf("ListShards")).toBe(1);
});

test("discovery is one listing a period, whatever the number of shards", async () => {
  const world = await World.of({ shards: 20 });
  await world.start({ discoveryIntervalMs: 30_000, scanIntervalMs: 10_000 });
  await world.clock.advance(300_000);

  const listings = world.kinesis.calls.filter(({ operation }) => operation === "ListShards");
  expect(world.kinesis.countOf("ListShards")).toBe(11);
  for (const { input } of listings) expect(input["ShardFilter"]).toBeUndefined();
});

test("a stream given by ARN goes into every call by its ARN, never by its name", async () => {
  const world = await World.of({ shards: 3 });
  const run = await world.start({ stream: ARN });
  await run.stop();

  expect(run.error).toBeUndefined();
  const operations = new Set(world.kinesis.calls.map(({ operation }) => operation));
  expect(operations).toEqual(
    new Set(["ListShards", "DescribeStreamSummary", "GetShardIterator", "GetRecords"]),
  );
  for (const { input } of world.kinesis.calls) {
    expect(input).toMatchObject({ StreamARN: ARN });
    expect(input).not.toHaveProperty("StreamName");
  }
});

test("a stream given by ARN is listed beyond 1,000 shards: a page's token goes alone", async () => {
  const world = await World.of({ shards: 1001 });
  const listing = await clientOf(world, { StreamARN: ARN }).listShards(never());

  expect(listing).toHaveLength(1001);
  const pages = world.kinesis.calls.map(({ input }) => Object.keys(input));
  expect(pages).toEqual([["StreamARN"], ["NextToken"]]);
});

test("a stream given by name goes into every call that takes one by its name", async () => {
  const world = await World.of();
  const run = await world.start();
  await run.stop();

  for (const { operation, input } of world.kinesis.calls) {
    expect(input).not.toHaveProperty("StreamARN");
    if (operation !== "GetRecords") expect(input).toMatchObject({ StreamName: STREAM });
  }
});

test("an ARN's stream keeps its checkpoints under the stream's name", () => {
  expect(streamNameOf({ StreamARN: ARN })).toBe("orders");
  expect(streamNameOf({ StreamName: "orders" })).toBe("orders");
});

test("a client that was given is not destroyed", async () => {
  const world = await World.of();
  const run = await world.start();
  await run.stop();

  expect(world.kinesis.destroyed).toBe(false);
});

test("a client of the consumer's own is destroyed, each with its scan, whatever ended it", async () => {
  const destroyed = vi.spyOn(KinesisClient.prototype, "destroy");
  vi.stubEnv("AWS_REGION", "us-east-1");
  const stop = new AbortController();
  const consumer = new Consumer({ stream: STREAM });
  await consumer.scan(() => {}, { signal: AbortSignal.abort() });
  expect(destroyed).toHaveBeenCalledTimes(1);
  const sent = vi.spyOn(KinesisClient.prototype, "send").mockImplementation(() => {
    throw new Error("Region is missing");
  });
  await expect(consumer.scan(() => {}, { signal: stop.signal })).rejects.toMatchObject({
    option: "client",
    message: expect.stringContaining("set AWS_REGION"),
  });

  expect(destroyed).toHaveBeenCalledTimes(2);
  expect(sent.mock.contexts[0]).toBe(destroyed.mock.contexts[1]);
  vi.unstubAllEnvs();
});

function clientOf(world: World, id: StreamId = { StreamName: STREAM }): StreamClient {
  const { kinesis: client, clock, counter, logger } = world;
  const telemetry = new Telemetry({ counter, logger }, { stream: STREAM, application: "billing" });
  return new StreamClient({ id, client, clock, random: () => 0.5, telemetry, wire: "auto" });
}

function never(): AbortSignal {
  return new AbortController().signal;
}

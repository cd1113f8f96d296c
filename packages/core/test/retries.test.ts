import { inspect } from "node:util";
import { expect, test } from "vitest";
import { MemoryStore, SkipCheckpoint } from "../src/index.ts";
import { gapsOf, isFor, keyOf, pollsOf } from "./support/calls.ts";
import { STREAM, World } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const OPERATIONS = [
  "DescribeStreamSummary",
  "ListShards",
  "GetShardIterator",
  "GetRecords",
] as const;
const PASSING = [
  "ProvisionedThroughputExceededException",
  "LimitExceededException",
  "KMSThrottlingException",
  "ThrottlingException",
  "ResourceInUseException",
  "InternalFailure",
  "ServiceUnavailable",
  "ExpiredTokenException",
  named("CredentialsProviderError", "Could not load credentials from any providers"),
  named("TimeoutError", "socket timed out"),
  Object.assign(new Error("getaddrinfo"), { code: "EAI_AGAIN" }),
  Object.assign(new Error("connect"), { code: "ECONNREFUSED" }),
  new Error("HTTP/2 stream is abnormally aborted in mid-communication with result code 8."),
] as const;

/** As the SDK's HTTP/2 handler throws it when a reply is HTTP/1.1. */
const NOT_HTTP2 = Object.assign(new Error("Protocol error"), {
  code: "ERR_HTTP2_ERROR",
  errno: -505,
});

test.each(PASSING.map((error) => [nameOf(error), error] as const))(
  "%s passes: every call is tried again until it answers",
  async (_name, error) => {
    const world = await World.of();
    for (const operation of OPERATIONS) world.kinesis.faults.fail({ operation, times: 7, error });
    await world.put("a", "1");
    const run = await world.start({ start: "TRIM_HORIZON" });
    await world.clock.advance(100_000);
    await world.put("a", "2");
    await world.clock.advance(1000);

    expect(run.settled).toBeUndefined();
    expect(run.texts).toEqual(["1", "2"]);
    expect(world.counter.total("retries")).toBe(4 * 7);
  },
);

test("a connection that breaks, and a load balancer's HTML, pass too", async () => {
  const world = await World.of();
  for (const operation of OPERATIONS) {
    world.kinesis.faults.drop({ operation, times: 2 });
    world.kinesis.faults.htmlError({ operation, call: 3, times: 2, status: 502 });
  }
  await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(10_000);

  expect(run.settled).toBeUndefined();
  expect(run.texts).toEqual(["1"]);
});

test("a passing error is retried without limit, ever more slowly, up to 30 s", async () => {
  const world = await World.of();
  world.kinesis.faults.fail({ operation: "GetRecords", times: Infinity, error: "InternalFailure" });
  const run = await world.start({ random: () => 0.5 });
  await world.clock.advance(600_000);

  expect(run.settled).toBeUndefined();
  const gaps = gapsOf(pollsOf(world));
  expect(gaps.slice(0, 9)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 15_000]);
  expect(new Set(gaps.slice(9))).toEqual(new Set([15_000]));
});

test("retries have full jitter: shards that failed together do not come back together", async () => {
  const world = await World.of({ shards: 8 });
  world.kinesis.faults.fail({ operation: "GetRecords", times: 8, error: "InternalFailure" });
  let seed = 0;
  await world.start({ random: () => (seed += 0.1) % 1 });
  await world.clock.advance(200);

  const retried = world.kinesis.calls
    .filter(({ operation }) => operation === "GetRecords")
    .slice(8);
  expect(new Set(retried.map(({ at }) => at)).size).toBe(8);
});

test("a throttle keeps its iterator and spends no GetShardIterator call", async () => {
  const world = await World.of();
  world.kinesis.faults.fail({
    operation: "GetRecords",
    times: 5,
    error: "ProvisionedThroughputExceededException",
  });
  await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(10_000);

  expect(run.texts).toEqual(["1"]);
  expect(world.kinesis.countOf("GetShardIterator")).toBe(1);
  const iterators = world.kinesis.calls.flatMap(({ operation, input }) =>
    operation === "GetRecords" ? [input["ShardIterator"]] : [],
  );
  expect(new Set(iterators.slice(0, 6)).size).toBe(1);
});

test("an expired iterator is recreated after the last delivered record, not after the checkpoint", async () => {
  const world = await World.of();
  await world.put("a", "0");
  const run = await world.start({ start: "TRIM_HORIZON", flushIntervalMs: 100_000 });
  const [, second] = await world.put("a", "1", "2");
  await world.clock.advance(1000);
  world.kinesis.faults.fail({ operation: "GetRecords", error: "ExpiredIteratorException" });
  await world.clock.advance(250);
  await world.put("a", "3");
  await world.clock.advance(1000);

  expect(run.texts).toEqual(["0", "1", "2", "3"]);
  expect(lastIterator(world)).toMatchObject({
    ShardIteratorType: "AT_SEQUENCE_NUMBER",
    StartingSequenceNumber: second,
  });
  expect(world.counter.total("iterator_refreshes")).toBe(1);
});

test("skipped records move the place an iterator is recreated at, though not the checkpoint", async () => {
  const world = await World.of();
  const store = new MemoryStore();
  const [start] = await world.put("a", "before");
  await world.start({ store, start: "TRIM_HORIZON" }).then((run) => run.stop());
  const run = await world.start({ store }, () => SkipCheckpoint);
  const numbers = await world.put("a", "1", "2", "3");
  await world.clock.advance(1000);
  world.kinesis.faults.fail({ operation: "GetRecords", error: "ExpiredIteratorException" });
  await world.clock.advance(2000);
  await run.stop();

  expect(run.texts).toEqual(["1", "2", "3"]);
  expect(lastIterator(world)["StartingSequenceNumber"]).toBe(numbers[2]);
  const scope = { application: "billing", streamName: STREAM };
  expect(await store.getCheckpoint(scope, SHARD)).toMatchObject({ sequenceNumber: start });
});

test("an iterator that expires before its first record is not made at LATEST again", async () => {
  const world = await World.of();
  const run = await world.start();
  await world.clock.advance(10_000);
  world.kinesis.faults.fail({ operation: "GetRecords", error: "ExpiredIteratorException" });
  await world.put("a", "came while the iterator expired");
  await world.clock.advance(1000);

  expect(world.iteratorTypes()).toEqual(["LATEST", "AT_TIMESTAMP"]);
  expect(run.texts).toEqual(["came while the iterator expired"]);
});

test("a LATEST that was long in coming loses nothing that was put meanwhile", async () => {
  const world = await World.of();
  world.kinesis.faults.fail({
    operation: "GetShardIterator",
    times: 6,
    error: "ProvisionedThroughputExceededException",
  });
  const run = await world.start();
  await world.clock.advance(2000);
  await world.put("a", "while it was throttled");
  await world.clock.advance(20_000);

  expect(run.texts).toEqual(["while it was throttled"]);
});

test("iterators that expire at once, again and again, are asked for within the quota", async () => {
  const world = await World.of();
  world.kinesis.faults.fail({
    operation: "GetRecords",
    times: Infinity,
    error: "ExpiredIteratorException",
  });
  const run = await world.start();
  await world.clock.advance(10_000);

  expect(run.settled).toBeUndefined();
  expect(world.kinesis.countOf("GetRecords")).toBeLessThanOrEqual(51);
});

test.each(["AccessDeniedException", "KMSAccessDeniedException", "KMSDisabledException"] as const)(
  "%s is retried for 60 s, then stops the scan",
  async (error) => {
    for (const operation of OPERATIONS) {
      const world = await World.of();
      world.kinesis.faults.fail({ operation, times: Infinity, error });
      const run = await world.start();
      await world.clock.advance(59_900);
      expect(run.settled).toBeUndefined();
      await world.clock.advance(30_100);

      expect(run.error).toMatchObject({
        code: "KINESIS_ACCESS_DENIED",
        message: expect.stringContaining(`kinesis:${operation}`),
        cause: expect.objectContaining({ name: error }),
      });
    }
  },
);

test.each([
  new Error("nobody has seen this before"),
  new TypeError("Cannot read properties of undefined"),
  Object.assign(new Error("a new one"), {
    name: "SomethingNewException",
    $metadata: { httpStatusCode: 400 },
  }),
  Object.assign(new Error("self-signed certificate"), { code: "DEPTH_ZERO_SELF_SIGNED_CERT" }),
])("what nobody has listed is retried for 60 s, then stops the scan: %s", async (error) => {
  for (const operation of OPERATIONS) {
    const world = await World.of();
    world.kinesis.faults.fail({ operation, times: Infinity, error });
    const run = await world.start();
    await world.clock.advance(59_900);
    expect(run.settled).toBeUndefined();
    await world.clock.advance(30_100);

    expect(run.error).toMatchObject({ code: "KINESIS_FAILED", cause: error });
  }
});

test("what nobody has listed, and passes, ends nothing", async () => {
  const world = await World.of();
  const error = new Error("nobody has seen this before");
  for (const operation of OPERATIONS) world.kinesis.faults.fail({ operation, times: 5, error });
  await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(30_000);

  expect(run.settled).toBeUndefined();
  expect(run.texts).toEqual(["1"]);
});

test("a wall clock that is set makes no minute of a second", async () => {
  const world = await World.of();
  world.kinesis.faults.fail({
    operation: "GetRecords",
    times: 6,
    error: "AccessDeniedException",
  });
  await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(1000);
  world.clock.jumpWall(3_600_000);
  await world.clock.advance(29_000);

  expect(run.settled).toBeUndefined();
  expect(run.texts).toEqual(["1"]);
});

test("an endpoint that never spoke HTTP/2 fails after a minute, with the handler that it needs", async () => {
  const world = await World.of();
  world.kinesis.faults.fail({ times: Infinity, error: NOT_HTTP2 });
  const run = await world.start();
  await world.clock.advance(59_000);
  expect(run.settled).toBeUndefined();
  expect(world.logger.find("warn", /^a call keeps failing/)[0]!.fields).toMatchObject({
    advice: expect.stringContaining("KinesisHttpHandler"),
  });
  await world.clock.advance(31_000);

  expect(run.error).toMatchObject({
    code: "KINESIS_FAILED",
    message: expect.stringContaining("pass a client with the KinesisHttpHandler"),
  });
});

test.each(["an answer", "a refusal"])(
  "an endpoint that does not speak HTTP/2 any more, after %s, is retried without limit",
  async (first) => {
    const world = await World.of();
    await world.put("a", "1");
    const error = "AccessDeniedException";
    if (first === "a refusal") world.kinesis.faults.fail({ times: 1, error });
    world.kinesis.faults.fail({ call: 2, times: 30, error: NOT_HTTP2 });
    const run = await world.start({ start: "TRIM_HORIZON", random: () => 0.9 });
    await world.clock.advance(300_000);
    expect(run.settled).toBeUndefined();
    expect(run.texts).toEqual([]);
    await world.clock.advance(3_600_000);

    expect(run.settled).toBeUndefined();
    expect(run.texts).toEqual(["1"]);
  },
);

test("a permission that takes half a minute to spread is waited for", async () => {
  const world = await World.of();
  const take = world.kinesis.faults.fail({
    operation: "GetRecords",
    times: Infinity,
    error: "AccessDeniedException",
  });
  await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(30_000);
  take();
  await world.clock.advance(30_000);

  expect(run.settled).toBeUndefined();
  expect(run.texts).toEqual(["1"]);
});

test.each(OPERATIONS)(
  "a %s that never answers times out, and is tried again",
  async (operation) => {
    const world = await World.of();
    world.kinesis.faults.delay({ operation, ms: 1e9 });
    await world.put("a", "1");
    const run = await world.start({ start: "TRIM_HORIZON" });
    await world.clock.advance(29_999);
    expect(run.texts).toEqual([]);
    await world.clock.advance(1000);

    expect(run.texts).toEqual(["1"]);
    expect(world.counter.total("retries", { operation, error: "TimeoutError" })).toBe(1);
  },
);

test("one shard's passing error neither ends the scan nor slows another shard", async () => {
  const world = await World.of({ shards: 2 });
  const [troubled, sound] = ["shardId-000000000000", "shardId-000000000001"] as const;
  world.kinesis.faults.fail({
    where: isFor(troubled),
    times: Infinity,
    error: "InternalFailure",
  });
  const run = await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(60_000);
  await world.put(keyOf(1, 2), "1");
  await world.clock.advance(250);

  expect(run.settled).toBeUndefined();
  expect(run.texts).toEqual(["1"]);
  expect(new Set(gapsOf(pollsOf(world, sound)))).toEqual(new Set([250]));
});

test("an error that no retry mends stops the scan, and names its shard", async () => {
  const world = await World.of({ shards: 2 });
  const failed = "shardId-000000000001";
  world.kinesis.faults.fail({ where: isFor(failed), call: 3, error: "ValidationException" });
  const run = await world.start();
  await world.clock.advance(1000);

  expect(run.error).toMatchObject({
    code: "KINESIS_FAILED",
    shardId: failed,
    message: expect.stringMatching(/^shardId-000000000001: .*ValidationException/),
    cause: expect.objectContaining({ name: "ValidationException" }),
  });
});

test("a stream that does not exist is said so, at once", async () => {
  const world = await World.of();
  const run = await world.start({ stream: "order" });

  expect(run.error).toMatchObject({
    code: "STREAM_NOT_FOUND",
    message: expect.stringContaining("stream order does not exist"),
  });
});

function lastIterator(world: World): Readonly<Record<string, unknown>> {
  const made = world.kinesis.calls.filter(({ operation }) => operation === "GetShardIterator");
  return made.at(-1)!.input;
}

function named(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}

function nameOf(error: string | Error): string {
  if (typeof error === "string") return error;
  return "code" in error ? String(error.code) : `${error.name}: ${error.message}`;
}

test("a service that calls each new iterator expired is asked ever more rarely, and that is reported", async () => {
  const world = await World.of();
  await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(1000);
  const { faults } = world.kinesis;
  const broken = faults.fail({
    operation: "GetRecords",
    error: "ExpiredIteratorException",
    times: Infinity,
  });
  world.kinesis.resetCalls();
  await world.clock.advance(600_000);
  expect(world.kinesis.countOf("GetRecords")).toBeLessThan(60);
  expect(world.kinesis.countOf("GetShardIterator")).toBeLessThan(60);
  expect(run.consumer.status().shards[0]!.error).toMatch(/ExpiredIterator/);
  expect(run.consumer.health().ready).toBe(false);
  broken();
  await world.put("a", "2");
  await world.clock.advance(31_000);
  expect(run.texts).toEqual(["1", "2"]);
  expect(run.consumer.status().shards[0]!.error).toBeUndefined();
});

test("a reply that broke off is quoted nowhere: not in the log, the status or the error", async () => {
  const world = await World.of();
  const body = '{"Records":[{"PartitionKey":secret-key';
  const fault = { operation: "GetRecords", error: asTheSdkFails(body) } as const;
  expect(fault.error.message, "what JSON.parse says").toContain("secret");
  world.kinesis.faults.fail({ ...fault, times: 3 });
  const run = await world.start({ start: "TRIM_HORIZON" });
  await world.clock.advance(500);
  const shown = inspect([world.logger.lines, run.consumer.status()], {
    depth: Infinity,
    showHidden: true,
  });
  expect(shown).toContain("the reply is not JSON");
  expect(shown).not.toContain("secret");
  await world.clock.advance(10_000);
  expect(run.settled).toBeUndefined();
});

/** What the SDK rejects with when a reply is not JSON. */
function asTheSdkFails(body: string): Error {
  try {
    return JSON.parse(body) as never;
  } catch (error) {
    const metadata = { $metadata: { httpStatusCode: 200 } };
    return Object.defineProperty(Object.assign(error as Error, metadata), "$responseBodyText", {
      value: body,
    });
  }
}

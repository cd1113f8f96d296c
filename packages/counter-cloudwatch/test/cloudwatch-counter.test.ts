import { execFile } from "node:child_process";
import { PassThrough, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CloudWatch } from "@aws-sdk/client-cloudwatch";
import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import { Consumer } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { expect, onTestFinished, test, vi } from "vitest";
import { CloudWatchCounter, type CloudWatchCounterOptions } from "../src/index.ts";
import { startCloudWatch } from "./support/cloudwatch.ts";
import { directiveOf } from "./support/emf-schema.ts";
import { Lines } from "./support/lines.ts";

const DIMENSIONS = { Stream: "orders", Application: "billing" };
/** Long enough for a busy machine's answer, short enough to wait for it. */
const timeoutMs = 1000;
const WHERE = { stream: "orders", application: "billing" };
const SHARD = { ...WHERE, shardId: "shardId-000000000000" };

test("an interval's metrics are one line for each set of dimensions", async () => {
  const output = new Lines();
  await using counter = new CloudWatchCounter({ output, dimensions: { Service: "api" } });
  counter.add("records", 3, WHERE);
  counter.add("records", 4, WHERE);
  counter.set("lag", 1500, WHERE);
  counter.record("handler_duration", 0.5, WHERE);
  counter.add("retries", 1, { ...WHERE, operation: "GetRecords", error: "TimeoutError" });
  await counter.flush();

  expect(output.documents).toHaveLength(2);
  const [records, retries] = output.documents;
  expect(records).toMatchObject({
    Service: "api",
    Stream: "orders",
    Application: "billing",
    Records: 7,
    Lag: 1500,
    HandlerDuration: [0.5],
  });
  expect(directiveOf(records!)).toEqual({
    Namespace: "Kinesis/Consumer",
    Dimensions: [["Service", "Stream", "Application"]],
    Metrics: [
      { Name: "Records", Unit: "Count", StorageResolution: 60 },
      { Name: "Lag", Unit: "Milliseconds", StorageResolution: 60 },
      { Name: "HandlerDuration", Unit: "Milliseconds", StorageResolution: 60 },
    ],
  });
  expect(retries).toMatchObject({ Operation: "GetRecords", Error: "TimeoutError", Retries: 1 });
});

test("a consumer's metrics are reported with its shards folded, unless shards are asked for", async () => {
  const kinesis = new FakeKinesis({ streams: { orders: 2 } });
  const Data = Buffer.from("three");
  await kinesis.send(new PutRecordCommand({ StreamName: "orders", PartitionKey: "a", Data }));
  const scanned = async (perShard: boolean): Promise<Lines> => {
    const output = new Lines();
    await using counter = new CloudWatchCounter({ output, perShard });
    const stop = new AbortController();
    const consumer = new Consumer({ ...WHERE, client: kinesis, counter, start: "TRIM_HORIZON" });
    await consumer.scan(() => stop.abort(), { signal: stop.signal });
    await counter.flush();
    return output;
  };
  const [folded, told] = [await scanned(false), await scanned(true)];
  const records = folded.documents.find((document) => "Records" in document);
  expect(records).toMatchObject({ ...DIMENSIONS, Records: 1, Bytes: 5, Batches: 1 });
  expect(records).toHaveProperty("HandlerDuration");
  expect(folded.documents.filter((document) => "ShardId" in document)).toEqual([]);
  expect(told.documents.filter((document) => "ShardId" in document).length).toBeGreaterThan(0);
});

test("counters start over with each interval, gauges stand until they are over", async () => {
  const output = new Lines();
  await using counter = new CloudWatchCounter({ output });
  counter.add("records", 3, WHERE);
  counter.set("lag", 1500, WHERE);
  await counter.flush();
  await counter.flush();
  counter.remove("lag", WHERE);
  await counter.flush();
  expect(output.documents.map(({ Records, Lag }) => [Records, Lag])).toEqual([
    [3, 1500],
    [undefined, 1500],
  ]);
});

test("a histogram of many values is several lines of a hundred, and at most a thousand values", async () => {
  const output = new Lines();
  await using counter = new CloudWatchCounter({ output });
  for (let n = 0; n < 250; n += 1) counter.record("poll_duration", 10, WHERE);
  await counter.flush();
  expect(output.documents.map(({ PollDuration }) => (PollDuration as number[]).length)).toEqual([
    100, 100, 50,
  ]);
  output.documents.length = 0;
  for (let n = 0; n < 50_000; n += 1) counter.record("poll_duration", n % 2 ? 10 : 1000, WHERE);
  await counter.flush();
  const values = output.documents.flatMap(({ PollDuration }) => PollDuration as number[]);
  expect(values).toHaveLength(1000);
  expect(values.filter((value) => Math.round(value) === 10)).toHaveLength(500);
});

test("with perShard, each shard has its own line", async () => {
  const output = new Lines();
  await using counter = new CloudWatchCounter({ output, perShard: true });
  for (let n = 0; n < 300; n += 1) counter.set("lag", n, { ...WHERE, shardId: `shard-${n}` });
  await counter.flush();
  expect(output.documents).toHaveLength(300);
});

test("metrics are written at each interval without a call", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const output = new Lines();
  await using counter = new CloudWatchCounter({ output, intervalMs: 5000 });
  counter.add("records", 1, WHERE);
  await vi.advanceTimersByTimeAsync(4999);
  expect(output.documents).toHaveLength(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(output.documents).toHaveLength(1);
  // Below a minute: CloudWatch keeps each second.
  expect(directiveOf(output.documents[0]!).Metrics[0]!.StorageResolution).toBe(1);
});

test("a stream that takes nothing is given no more than may wait, and what is lost is counted", async () => {
  const output = new PassThrough({ highWaterMark: 1 });
  await using counter = new CloudWatchCounter({ output, maxBufferedBytes: 2000 });
  for (let n = 0; n < 50; n += 1) {
    counter.add("records", 1, WHERE);
    await counter.flush();
  }
  expect(output.writableLength).toBeLessThan(4000);
  expect(counter.dropped).toBeGreaterThan(30);
  output.resume();
  const before = counter.dropped;
  await new Promise(setImmediate);
  counter.add("records", 1, WHERE);
  await counter.flush();
  expect(counter.dropped).toBe(before);
});

test("a stream that is full for a moment loses nothing", async () => {
  let lines = 0;
  const output = new Writable({
    highWaterMark: 1,
    write: (_chunk, _encoding, done) => {
      lines += 1;
      setImmediate(done);
    },
  });
  await using counter = new CloudWatchCounter({ output, perShard: true, maxBufferedBytes: 5000 });
  for (let n = 0; n < 500; n += 1) counter.set("lag", n, { ...SHARD, shardId: `shard-${n}` });
  await counter.flush();
  expect(counter.dropped).toBe(0);
  await new Promise((resolve) => output.end(resolve));
  expect(lines).toBe(500);
});

test("a stream that breaks or was closed loses metrics and nothing else", async () => {
  const output = new Writable({ write: (_chunk, _encoding, done) => done(new Error("EPIPE")) });
  const counter = new CloudWatchCounter({ output });
  counter.add("records", 1, WHERE);
  await counter.flush();
  await new Promise(setImmediate);
  counter.add("records", 1, WHERE);
  counter.set("lag", 1, WHERE);
  await counter.flush();
  expect(counter.dropped).toBe(3);
  await counter[Symbol.asyncDispose]();
});

test("what the last documents fail with ends no process, though the counter is disposed of", async () => {
  const output = new Writable({
    write: (_chunk, _encoding, done) => void setImmediate(() => done(new Error("EPIPE"))),
  });
  const broken = new Promise((resolve) => output.once("close", resolve));
  const counter = new CloudWatchCounter({ output });
  counter.add("records", 3, WHERE);
  await counter[Symbol.asyncDispose]();
  // An error without a listener would be thrown here.
  await broken;
  expect(counter.dropped).toBe(1);
});

test("once all is written, a stream is listened to no more", async () => {
  const output = new Writable({
    write: (_chunk, _encoding, done) => void setImmediate(() => done()),
  });
  const counter = new CloudWatchCounter({ output });
  counter.add("records", 3, WHERE);
  await counter[Symbol.asyncDispose]();
  await new Promise((resolve) => output.end(resolve));
  expect(output.listenerCount("error")).toBe(0);
});

test("PutMetricData gets what the interval has come to, values with their counts", async () => {
  await using cloudWatch = await startCloudWatch();
  await using counter = new CloudWatchCounter({ client: cloudWatch.client, namespace: "Mine" });
  for (const ms of [5, 5, 5, 900]) counter.record("handler_duration", ms, WHERE);
  counter.add("bytes", 10, WHERE);
  await counter.flush();

  expect(cloudWatch.requests).toHaveLength(1);
  const [{ Namespace, MetricData }] = cloudWatch.requests as [(typeof cloudWatch.requests)[0]];
  expect(Namespace).toBe("Mine");
  expect(MetricData).toMatchObject([
    { MetricName: "Bytes", Unit: "Bytes", Value: 10 },
    { MetricName: "HandlerDuration", Unit: "Milliseconds", Values: [5, 900], Counts: [3, 1] },
  ]);
});

test("a histogram of more than 150 values is several data of the same name and time", async () => {
  await using cloudWatch = await startCloudWatch();
  const { client, requests } = cloudWatch;
  await using counter = new CloudWatchCounter({ client });
  let sum = 0;
  for (let n = 0; n < 400; n += 1) {
    counter.record("poll_duration", 1.03 ** n, WHERE);
    sum += 1.03 ** n;
  }
  await counter.flush();
  const data = requests.flatMap(({ MetricData }) => MetricData);
  expect(data.map(({ Values }) => Values!.length)).toEqual([150, 150, 100]);
  expect(new Set(data.map(({ MetricName }) => MetricName))).toEqual(new Set(["PollDuration"]));
  const told = data.flatMap(({ Values, Counts }) => Values!.map((value, i) => value * Counts![i]!));
  expect(told.reduce((total, each) => total + each, 0) / sum).toBeCloseTo(1, 9);
});

test("what is more than a request may hold is sent in several, each within the limits", async () => {
  await using cloudWatch = await startCloudWatch();
  const { client, requests } = cloudWatch;
  await using counter = new CloudWatchCounter({ client, perShard: true });
  for (let n = 0; n < 2500; n += 1) counter.set("lag", n, { ...SHARD, shardId: `shard-${n}` });
  const long = "x".repeat(1000);
  for (let n = 0; n < 1200; n += 1) {
    counter.add("retries", 1, { ...WHERE, operation: long, error: `${long}${n}`.slice(-1000) });
  }
  await counter.flush();
  expect(counter.dropped).toBe(0);
  expect(requests.length).toBeGreaterThan(4);
  expect(Math.max(...requests.map(({ MetricData }) => MetricData.length))).toBe(1000);
  expect(requests.flatMap(({ MetricData }) => MetricData)).toHaveLength(3700);
});

test("a request is within the limit in the widest encoding, a form, too", async () => {
  await using cloudWatch = await startCloudWatch();
  const { client, requests } = cloudWatch;
  await using counter = new CloudWatchCounter({ client });
  for (let application = 0; application < 80; application += 1) {
    const where = { ...WHERE, application: `a%${application}` };
    for (let n = 0; n < 500; n += 1) counter.record("poll_duration", 1.03 ** n, where);
  }
  await counter.flush();
  expect(counter.dropped).toBe(0);
  const bytes = requests.map((request) => formOf("", request).join("&").length);
  expect(Math.max(...bytes)).toBeLessThan(1_000_000);
  expect(Math.max(...bytes)).toBeGreaterThan(500_000);
});

/** As the query protocol writes a request. */
function formOf(name: string, value: unknown): string[] {
  if (typeof value !== "object" || value === null) {
    return [`${name}=${encodeURIComponent(String(value))}`];
  }
  return Object.entries(value).flatMap(([key, each]) => {
    const part = Array.isArray(value) ? `member.${Number(key) + 1}` : key;
    return formOf(name === "" ? part : `${name}.${part}`, each);
  });
}

test("refused metrics are counted, and the next interval's are sent", async () => {
  await using cloudWatch = await startCloudWatch();
  await using counter = new CloudWatchCounter({ client: cloudWatch.client });
  cloudWatch.answers = "refuses";
  counter.add("records", 1, WHERE);
  counter.set("lag", 1, WHERE);
  await counter.flush();
  expect(counter.dropped).toBe(2);
  cloudWatch.answers = "well";
  counter.add("records", 5, WHERE);
  await counter.flush();
  expect(cloudWatch.requests.at(-1)!.MetricData).toMatchObject([{ Value: 5 }, { Value: 1 }]);
});

test("a call that hangs ends after its time, and what comes meanwhile waits for the next", async () => {
  await using cloudWatch = await startCloudWatch();
  await using counter = new CloudWatchCounter({ client: cloudWatch.client, timeoutMs });
  cloudWatch.answers = "hangs";
  counter.add("records", 1, WHERE);
  const hanging = counter.flush();
  counter.add("records", 2, WHERE);
  const next = counter.flush();
  await hanging;
  expect(counter.dropped).toBe(1);
  cloudWatch.answers = "well";
  await next;
  counter.add("records", 4, WHERE);
  await counter.flush();
  expect(cloudWatch.requests.at(-1)!.MetricData).toMatchObject([{ Value: 4 }]);
  expect(cloudWatch.mostAtOnce).toBe(1);
});

test("credentials that never come cost an interval, not the counter", async () => {
  await using cloudWatch = await startCloudWatch();
  let isAway = true;
  const credentials = { accessKeyId: "any", secretAccessKey: "any" };
  const hanging = new CloudWatch({
    endpoint: "http://127.0.0.1:1",
    region: "us-east-1",
    credentials: () => (isAway ? new Promise(() => {}) : Promise.resolve(credentials)),
  });
  onTestFinished(() => hanging.destroy());
  await using counter = new CloudWatchCounter({
    client: {
      putMetricData: (input, options) =>
        (isAway ? hanging : cloudWatch.client).putMetricData(input, options),
    },
    timeoutMs,
  });
  counter.add("records", 1, WHERE);
  await counter.flush();
  expect(counter.dropped).toBe(1);
  isAway = false;
  counter.add("records", 2, WHERE);
  await counter.flush();
  expect(cloudWatch.requests.at(-1)!.MetricData).toMatchObject([{ Value: 2 }]);
});

test("names of other alphabets stay apart", async () => {
  const output = new Lines();
  await using counter = new CloudWatchCounter({ output });
  for (const application of ["größe", "grüße", "größer", "注文", "出荷"]) {
    counter.add("records", 1, { stream: "orders", application });
  }
  await counter.flush();
  const names = output.documents.map(({ Application }) => Application);
  expect(new Set(names).size).toBe(5);
  for (const name of names) expect(name).toMatch(/^[\x21-\x7e]{1,1024}$/);
});

test.each([
  ["ends by itself, without the interval that is not over", "", 0],
  [
    "writes what it has when it disposes of the counter",
    "await counter[Symbol.asyncDispose]();",
    1,
  ],
])("a process %s", async (_title, last, lines) => {
  const index = fileURLToPath(new URL("../dist/index.js", import.meta.url));
  const program = `
    import { CloudWatchCounter } from ${JSON.stringify(index)};
    const counter = new CloudWatchCounter();
    counter.add("records", 7, { stream: "orders", application: "billing" });
    ${last}`;
  const args = ["--input-type=module", "--eval", program];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const documents = stdout.split("\n").filter(Boolean);
  expect(documents).toHaveLength(lines);
  for (const line of documents) expect(JSON.parse(line)).toMatchObject({ Records: 7 });
});

const client = { putMetricData: async () => undefined };

test.each([
  [{ namespace: "AWS/Kinesis" }, "namespace"],
  [{ namespace: "" }, "namespace"],
  [{ intervalMs: 999 }, "intervalMs"],
  [{ perShard: "yes" }, "perShard"],
  [{ output: {} }, "output"],
  [{ maxBufferedBytes: -1 }, "maxBufferedBytes"],
  [{ client: {} }, "client"],
  [{ client, output: new Lines() }, "output"],
  [{ client, timeoutMs: 0 }, "timeoutMs"],
  [{ timeoutMs: 5 }, "timeoutMs"],
  [{ dimensions: { Stream: "a" } }, "dimensions"],
  [{ dimensions: { Records: "a" } }, "dimensions"],
  [{ dimensions: { Service: "" } }, "dimensions"],
  [{ dimensions: { "a b": "c" } }, "dimensions"],
  [
    { dimensions: Object.fromEntries([...Array(21).keys()].map((n) => [`d${n}`, "x"])) },
    "dimensions",
  ],
  [{ interval: 5 }, "interval"],
])("%o is refused by the name of its option", (options, option) => {
  expect(() => new CloudWatchCounter(options as unknown as CloudWatchCounterOptions)).toThrow(
    expect.objectContaining({ code: "CONFIG_INVALID", option }),
  );
});

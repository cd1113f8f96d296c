import dns from "node:dns";
import { syncBuiltinESMExports } from "node:module";
import { StatsD } from "hot-shots";
import { expect, onTestFinished, test, vi } from "vitest";
import { StatsdCounter, type StatsdCounterOptions } from "../src/index.ts";
import { startServer, type TestServer } from "./support/server.ts";

type Answer = (error: null, address: string, family: number) => void;

const ATTRIBUTES = { shardId: "shardId-0", stream: "my.orders", application: "bil:ling" };

async function server(): Promise<TestServer> {
  const started = await startServer();
  onTestFinished(() => started[Symbol.asyncDispose]());
  return started;
}

test("attributes are tags, without what stands for something in a datagram", async () => {
  const { port, until, lines } = await server();
  await using counter = new StatsdCounter({ port, prefix: "app." });
  counter.add("records", 7, ATTRIBUTES);
  await until("records");
  expect(lines).toEqual([
    "app.records:7|c|#shardId:shardId-0,stream:my.orders,application:bil_ling-972ff989",
  ]);
});

test.each(["dogstatsd", "none"] as const)(
  "names that differ in reserved characters alone stay series that differ, tags: %s",
  async (tags) => {
    const { port, until, lines } = await server();
    await using counter = new StatsdCounter({ port, tags });
    for (const application of ["a:b", "a|b", "a_b"])
      counter.add("records", 1, { ...ATTRIBUTES, application });
    counter.add("bytes", 1, ATTRIBUTES);
    await until("bytes");
    expect(new Set(lines.filter((line) => line.includes("records"))).size).toBe(3);
  },
);

test("a server without tags gets them in the name, in a fixed order", async () => {
  const { port, until, lines } = await server();
  await using counter = new StatsdCounter({ port, tags: "none" });
  counter.set("lag", 1500, ATTRIBUTES);
  await until("lag");
  expect(lines).toEqual(["kinesis.lag.bil_ling-972ff989.shardId-0.my_orders-491a2b29:1500|g"]);
});

test("a server without tags gets none from the environment either", async () => {
  vi.stubEnv("DD_ENV", "production").stubEnv("DD_TAGS", "team:a");
  onTestFinished(() => void vi.unstubAllEnvs());
  const { port, until, lines } = await server();
  await using counter = new StatsdCounter({ port, tags: "none" });
  counter.set("lag", 1500, ATTRIBUTES);
  await until("lag");
  expect(lines).toEqual(["kinesis.lag.bil_ling-972ff989.shardId-0.my_orders-491a2b29:1500|g"]);
});

test("a name is looked up in the socket's family, and then kept", async () => {
  const lookups: unknown[] = [];
  vi.spyOn(dns, "lookup").mockImplementation(((name: string, family: number, answer: Answer) => {
    if (name === "localhost") lookups.push(family);
    const local = family === 4 ? "127.0.0.1" : "::1";
    process.nextTick(answer, null, name === "localhost" ? local : name, family);
  }) as unknown as typeof dns.lookup);
  syncBuiltinESMExports();
  onTestFinished(() => {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  });
  const { port, until } = await server();
  await using counter = new StatsdCounter({ host: "localhost", port });
  for (const name of ["records", "bytes", "batches"] as const) {
    counter.add(name, 1, ATTRIBUTES);
    await until(`kinesis.${name}`);
  }
  expect(lookups).toEqual([4]);
  expect(counter.dropped).toBe(0);
});

test("a duration is a timing, its fraction included", async () => {
  const { port, until, lines } = await server();
  await using counter = new StatsdCounter({ port });
  const { stream, application } = ATTRIBUTES;
  counter.record("handler_duration", 0.25, { stream, application });
  await until("handler");
  expect(lines).toEqual([
    "kinesis.handler_duration:0.25|ms|#stream:my.orders,application:bil_ling-972ff989",
  ]);
});

test("without a listener, nothing is thrown and nothing waits", async () => {
  const gone = await startServer();
  await gone[Symbol.asyncDispose]();
  await using counter = new StatsdCounter({ port: gone.port });
  for (let n = 0; n < 1000; n += 1) counter.add("records", 1, ATTRIBUTES);
  expect(counter.dropped).toBe(0);
});

test("a client that was handed in is used, and not closed", async () => {
  const { port, until } = await server();
  const client = new StatsD({ host: "127.0.0.1", port });
  onTestFinished(() => client.close());
  const counter = new StatsdCounter({ client });
  counter.add("records", 1, ATTRIBUTES);
  await until("kinesis.records");
  await counter[Symbol.asyncDispose]();
  client.increment("still.works");
  await until("still.works");
});

test.each([
  [{ port: 0 }, "port"],
  [{ port: 1.5 }, "port"],
  [{ host: "" }, "host"],
  [{ prefix: "a:b" }, "prefix"],
  [{ tags: "graphite" }, "tags"],
  [{ client: {} }, "client"],
  [{ perShard: 1 }, "perShard"],
  [{ hosts: "a" }, "hosts"],
])("%o is refused by the name of its option", (options, option) => {
  expect(() => new StatsdCounter(options as unknown as StatsdCounterOptions)).toThrow(
    expect.objectContaining({ code: "CONFIG_INVALID", option }),
  );
});

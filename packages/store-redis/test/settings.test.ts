import { readFileSync } from "node:fs";
import { leaseStoreRound } from "@kc/conformance";
import { startRedis, type RedisServer } from "@kc-internal/test-services";
import { Command, Redis, type RedisOptions } from "ioredis";
import { Command as Command5, Redis as Redis5 } from "ioredis-5";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { connect, expectFailure, openStore, ownScope } from "./support/redis.ts";

/** For this file alone: each test configures it again. */
let server: RedisServer;
let admin: Redis;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.close());
beforeEach(() => {
  admin = connect(server.url);
});

/** What the server may be set to, and the store works under. */
const WORKS: readonly (readonly [string, string, string?])[] = [
  ["maxmemory-policy", "noeviction", "100mb"],
  ["maxmemory-policy", "volatile-lru", "100mb"],
  ["maxmemory-policy", "volatile-lfu", "100mb"],
  ["maxmemory-policy", "volatile-random", "100mb"],
  ["maxmemory-policy", "volatile-ttl", "100mb"],
  ["maxmemory-policy", "allkeys-lru", "0"],
  ["appendonly", "no"],
  ["notify-keyspace-events", "KEA"],
  ["hash-max-listpack-entries", "0"],
  ["lua-time-limit", "1"],
  ["lazyfree-lazy-user-del", "yes"],
  ["activedefrag", "no"],
  ["timeout", "60"],
];

/** What is refused, by name, at the first call. */
const REFUSED = [
  ...["allkeys-lru", "allkeys-lfu", "allkeys-random"].map(
    (policy) => ["maxmemory-policy", policy, { code: "STORE_FAILED", retryable: false }] as const,
  ),
  ["min-replicas-to-write", "1", { code: "STORE_UNAVAILABLE", retryable: true }],
  ["maxmemory", "1", { code: "STORE_UNAVAILABLE", retryable: true }],
] as const;

const TEXT: Readonly<Record<string, string>> = {
  "maxmemory-policy": "maxmemory-policy",
  "min-replicas-to-write": "NOREPLICAS",
  maxmemory: "OOM",
};

/** What the owner of a client may have set for purposes of their own. */
const CLIENTS: Readonly<Record<string, RedisOptions>> = {
  enableAutoPipelining: { enableAutoPipelining: true },
  enableOfflineQueue: { enableOfflineQueue: false },
  enableReadyCheck: { enableReadyCheck: false },
  stringNumbers: { stringNumbers: true },
  lazyConnect: { lazyConnect: true },
  db: { db: 5 },
  readOnly: { readOnly: true },
  maxRetriesPerRequest: { maxRetriesPerRequest: null },
  commandTimeout: { commandTimeout: 20_000 },
  keepAlive: { keepAlive: 1000, noDelay: false },
  connectionName: { connectionName: "billing" },
  autoResubscribe: { autoResubscribe: false, autoResendUnfulfilledCommands: false },
  showFriendlyErrorStack: { showFriendlyErrorStack: true },
  "protocol: 2": { protocol: 2 },
  "protocol: 3": { protocol: 3, stringNumbers: true, enableAutoPipelining: true },
  replyMapping: { protocol: 3, replyMapping: "resp3" },
  blockingTimeout: { blockingTimeout: 100 },
  disableClientInfo: { disableClientInfo: true },
  clientInfoTag: { clientInfoTag: "billing" },
};

/** What is refused, by name, at the first call. */
const CLIENTS_REFUSED: readonly (readonly [string, RedisOptions, string])[] = [
  ["monitor", { monitor: true }, "hand in a client of normal mode"],
  [
    "scripts",
    { scripts: { evalsha: { lua: "return 1", numberOfKeys: 0 } } },
    "the reply to EVALSHA",
  ],
];

async function configure(...settings: readonly (readonly [string, string])[]): Promise<void> {
  const before = await Promise.all(settings.map(([name]) => admin.config("GET", name)));
  onTestFinished(async () => {
    for (const [name, value] of before as unknown as [string, string][]) {
      await admin.config("SET", name, value);
    }
  });
  for (const [name, value] of settings) await admin.config("SET", name, value);
}

describe("a server with", () => {
  it.each(WORKS)("%s %s works", async (name, value, maxmemory = "0") => {
    await configure(["maxmemory", maxmemory]);
    await configure([name!, value!]);
    await leaseStoreRound(openStore({ connection: server.url }), ownScope());
  });

  it.each(REFUSED)("%s %s is refused by name", async (name, value, error) => {
    if (name === "maxmemory-policy") await configure(["maxmemory", "100mb"]);
    await configure([name, value]);
    const refused = { ...error, text: TEXT[name]! };
    const store = openStore({ connection: server.url });
    const scope = ownScope();
    const streamARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders";
    const row = {
      ...scope,
      streamARN,
      start: "LATEST",
      startedAt: new Date(0),
      migrated: false,
    } as const;
    await expectFailure(store.openApplication(scope, row), refused);
  });
});

describe("a client with", () => {
  it.each(Object.entries(CLIENTS))("%s works", async (_name, options) => {
    const client = new Redis(server.url, { ...options } as object);
    client.on("error", () => undefined);
    onTestFinished(() => client.disconnect());
    await leaseStoreRound(openStore({ client }), ownScope());
  });

  it.each(CLIENTS_REFUSED)("%s is refused by name", async (_name, options, text) => {
    const client = new Redis(server.url, { ...options } as object);
    client.on("error", () => undefined);
    onTestFinished(() => client.disconnect());
    const call = openStore({ client }).getCheckpoints(ownScope());
    await expectFailure(call, { code: "STORE_FAILED", retryable: false, text });
  });
});

/** A program may alter the replies of all its clients: those that the store sees are refused. */
describe.each([
  ["6", Command, () => new Redis(server.url)],
  ["5", Command5, () => new Redis5(server.url)],
] as const)("ioredis %s whose replies are altered", (_version, Commands, open) => {
  it.each(["evalsha", "scan"])("of %s is refused by name", async (command) => {
    Commands.setReplyTransformer(command, (reply: unknown) => ({ reply }));
    onTestFinished(() => Commands.setReplyTransformer(command, (reply: unknown) => reply));
    const client = open();
    onTestFinished(() => client.disconnect());
    const call = openStore({ client }).getCheckpoints(ownScope());
    const text = `the reply to ${command.toUpperCase()} is not the server's`;
    await expectFailure(call, { code: "STORE_FAILED", retryable: false, text });
  });

  it("of commands that only scripts call works", async () => {
    Commands.setReplyTransformer("hgetall", () => ({}));
    onTestFinished(() => Commands.setReplyTransformer("hgetall", (reply: unknown) => reply));
    const client = open();
    onTestFinished(() => client.disconnect());
    await leaseStoreRound(openStore({ client }), ownScope());
  });
});

it("the README says what becomes of each setting", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const section = readme.split("## Settings")[1]!.split("\n## ")[0]!;
  const names = [...WORKS, ...REFUSED, ...CLIENTS_REFUSED].map(([name]) => name);
  for (const name of [...names, ...Object.keys(CLIENTS), "scaleReads"]) {
    expect(section).toContain(`\`${name}\``);
  }
  expect(section).toContain("setReplyTransformer");
});

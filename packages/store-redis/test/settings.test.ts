import { readFileSync } from "node:fs";
import { leaseStoreRound } from "@kc/conformance";
import { startRedis, type RedisServer } from "@kc-internal/test-services";
import { Redis, type RedisOptions } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { connect, expectFailure, openStore, ownScope } from "./support/redis.ts";

/** Of this file alone: it is configured anew for each test. */
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
  ["timeout", "1"],
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
  commandTimeout: { commandTimeout: 2000 },
  keepAlive: { keepAlive: 1000, noDelay: false },
  connectionName: { connectionName: "billing" },
  autoResubscribe: { autoResubscribe: false, autoResendUnfulfilledCommands: false },
  showFriendlyErrorStack: { showFriendlyErrorStack: true },
};

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
});

it("the README says what becomes of each setting", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const section = readme.split("## Settings")[1]!.split("\n## ")[0]!;
  const names = [...WORKS, ...REFUSED].map(([name]) => name);
  for (const name of [...names, ...Object.keys(CLIENTS)]) expect(section).toContain(`\`${name}\``);
});

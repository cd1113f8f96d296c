import { inspect } from "node:util";
import { ConfigError, type KcError, type StoreScope } from "@kc/core";
import { startRedis, type RedisServer } from "@kc-internal/test-services";
import { Redis as Redis5 } from "ioredis-5";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { RedisStore, type RedisStoreOptions } from "../src/index.ts";
import { toStoreError } from "../src/errors.ts";
import { at, connect, failure, openStore, ownScope, writeOf } from "./support/redis.ts";

const CANARY = "canary-3f9d";
const timeoutMs = 2000;

let server: RedisServer;
let scope: StoreScope;

beforeAll(async () => {
  server = await startRedis();
  scope = ownScope();
});
afterAll(() => server.close());

/** All that a logger of any kind could write of it. */
function everything(error: KcError): string {
  const options = { depth: Infinity, showHidden: true, maxStringLength: Infinity } as const;
  const seen = new Set<unknown>();
  const json = (value: unknown): string =>
    JSON.stringify(value, (_key, each: unknown) => {
      if (typeof each !== "object" || each === null) return each;
      if (seen.has(each)) return "seen";
      seen.add(each);
      const names = Object.getOwnPropertyNames(each) as (keyof typeof each)[];
      return Object.fromEntries(names.map((name) => [name, each[name]]));
    });
  return `${inspect(error, options)}\n${json(error)}\n${String(error)}`;
}

const url = (): string => `redis://kc:${CANARY}@${server.host}:${server.port}`;

const forms: readonly (readonly [string, () => RedisStoreOptions])[] = [
  ["a URL", () => ({ connection: url(), timeoutMs })],
  [
    "options",
    () => ({
      connection: { host: server.host, port: server.port, username: "kc", password: CANARY },
      timeoutMs,
    }),
  ],
  ["a client", () => ({ client: connect(url()), timeoutMs })],
  [
    "a client of ioredis 5",
    () => {
      const client = new Redis5(url());
      client.on("error", () => undefined);
      onTestFinished(() => client.disconnect());
      return { client, timeoutMs };
    },
  ],
];

it.each(forms)("a refused password of %s is in no part of the error", async (_form, options) => {
  const error = await failure(openStore(options()).getCheckpoints(scope));
  expect(error).toMatchObject({ code: "STORE_ACCESS_DENIED" });
  expect(error.cause).toMatchObject({ message: expect.stringContaining("WRONGPASS") });
  expect(everything(error)).not.toContain(CANARY);
});

it.each(forms)(
  "one of %s that the server quotes, as it knows no AUTH, neither",
  async (_form, options) => {
    const limited = await startRedis({ without: ["HELLO", "AUTH"] });
    onTestFinished(() => limited.close());
    const stands = server;
    server = limited;
    onTestFinished(() => void (server = stands));
    const error = await failure(openStore(options()).getCheckpoints(scope));
    expect(error.message).toContain("unknown command");
    expect(everything(error)).not.toContain(CANARY);
  },
);

it("what was to be written is in no part of a refused write's error, nor is the script", async () => {
  const admin = connect(server.url);
  await admin.acl("SETUSER", "writer", "on", ">pass", "~*", "+@all", "-evalsha");
  const connection = `redis://writer:pass@${server.host}:${server.port}`;
  const own = { application: CANARY, streamName: "orders" };
  const store = openStore({ connection, timeoutMs });
  for (const call of [
    () => store.setCheckpoint(own, writeOf(at(1))),
    () => store.setCheckpoints(own, [writeOf(at(1)), writeOf(at(2), "other")]),
  ]) {
    const error = await failure(call());
    expect(error).toMatchObject({ code: "STORE_ACCESS_DENIED" });
    expect(everything(error)).not.toContain(CANARY);
  }
});

it("the driver's own error is left as it is, for its owner's listeners", () => {
  const command = { name: "auth", args: [CANARY] };
  const thrown = Object.assign(new Error("WRONGPASS a text"), { command });
  const error = toStoreError(thrown, "Redis");
  expect(thrown.command).toBe(command);
  expect(error.cause).not.toBe(thrown);
});

it("errors within errors are stripped too, and keep their codes", () => {
  const inner = Object.assign(
    new Error(`ERR unknown command 'AUTH', with args beginning with: '${CANARY}'`),
    {
      command: { args: [CANARY] },
      code: "ECONNREFUSED",
      port: 1,
    },
  );
  const cyclic = Object.assign(new AggregateError([inner], "several"), {
    command: { args: [CANARY] },
  });
  cyclic.cause = cyclic;
  const outer = Object.assign(new Error("Failed to refresh slots cache."), {
    lastNodeError: inner,
    previousErrors: [cyclic],
  });
  const error = toStoreError(outer, "Redis");
  expect(everything(error)).not.toContain(CANARY);
  expect(error.cause).toMatchObject({
    lastNodeError: { code: "ECONNREFUSED", port: 1 },
    previousErrors: [{ errors: [{ code: "ECONNREFUSED" }] }],
  });
});

it("a URL whose password is no percent-encoding is refused without it", () => {
  const connection = `redis://:${CANARY}%ff@localhost`;
  const open = (): RedisStore => new RedisStore({ connection });
  expect(open).toThrow(ConfigError);
  try {
    open();
  } catch (error) {
    expect(everything(error as KcError)).not.toContain(CANARY);
  }
});

it("a store shows no password", async () => {
  const store = openStore({ connection: url() });
  expect(inspect(store, { depth: Infinity, showHidden: true })).not.toContain(CANARY);
  expect(JSON.stringify(store)).not.toContain(CANARY);
});

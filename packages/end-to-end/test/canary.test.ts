import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import { Consumer, KcError, type Logger, type Store } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { DynamoDBStore } from "@kc/store-dynamodb";
import { MysqlStore } from "@kc/store-mysql";
import { PostgresStore } from "@kc/store-postgres";
import { RedisStore } from "@kc/store-redis";
import { SqliteStore } from "@kc/store-sqlite";
import { expect, inject, onTestFinished, test } from "vitest";

/** In every password and key of a store, in every record's data and partition key. */
const CANARY = "canary-5a0e";
/** Nothing listens there. */
const CLOSED = { host: "127.0.0.1", port: 1 };
const timeoutMs = 1000;

type Where = { readonly host: string; readonly port: number };
const url = (protocol: string, user: string, { host, port }: Where, path = ""): string =>
  `${protocol}://${user}:${CANARY}@${host}:${port}${path}`;
const dynamodb = (endpoint: string): Store =>
  new DynamoDBStore({
    client: new DynamoDBClient({
      endpoint,
      region: "us-east-1",
      maxAttempts: 1,
      credentials: { accessKeyId: "kc", secretAccessKey: CANARY, sessionToken: CANARY },
    }),
    table: "canary",
    timeoutMs,
  });

const STORES: readonly (readonly [string, () => Store])[] = [
  [
    "Postgres that refuses the user",
    () =>
      new PostgresStore({
        connection: url("postgresql", "no_such_user", inject("postgres"), "/postgres"),
        timeoutMs,
      }),
  ],
  [
    "Postgres out of reach",
    () =>
      new PostgresStore({ connection: url("postgresql", "kc", CLOSED, "/postgres"), timeoutMs }),
  ],
  [
    "MariaDB that refuses the user",
    () =>
      new MysqlStore({
        connection: url("mysql", "no_such_user", inject("mariadb"), "/mysql"),
        timeoutMs,
      }),
  ],
  [
    "MySQL out of reach",
    () => new MysqlStore({ connection: url("mysql", "kc", CLOSED, "/mysql"), timeoutMs }),
  ],
  [
    "Redis that refuses the user",
    () => new RedisStore({ connection: url("redis", "no_such_user", inject("redis")), timeoutMs }),
  ],
  [
    "Redis out of reach",
    () => new RedisStore({ connection: url("redis", "kc", CLOSED), timeoutMs }),
  ],
  ["DynamoDB without the table", () => dynamodb(inject("dynamodb").endpoint)],
  ["DynamoDB out of reach", () => dynamodb("http://127.0.0.1:1")],
  ["SQLite at an impossible path", () => new SqliteStore({ path: "/dev/null/no.sqlite" })],
];

/** All that any logger, or any listener, could write of it. */
function everything(value: unknown): string {
  const seen = new Set<unknown>();
  const json = JSON.stringify(value, (_name, each: unknown) => {
    if (typeof each === "bigint") return `${each}`;
    if (typeof each !== "object" || each === null) return each;
    if (seen.has(each)) return "seen";
    seen.add(each);
    const names = Object.getOwnPropertyNames(each) as (keyof typeof each)[];
    return Object.fromEntries(names.map((name) => [name, each[name]]));
  });
  const options = {
    depth: Infinity,
    showHidden: true,
    maxStringLength: Infinity,
    maxArrayLength: Infinity,
  };
  return `${inspect(value, options)}\n${json}`;
}

/** Runs a consumer until `isOver`, and returns all that it has reported. */
async function toldBy(
  store: Store | undefined,
  isOver: (told: readonly unknown[]) => boolean,
): Promise<{ readonly told: readonly unknown[]; readonly error: unknown }> {
  const told: unknown[] = [];
  const tell = (...given: unknown[]): void => void told.push(given);
  const logger: Logger = { debug: tell, info: tell, warn: tell, error: tell };
  const client = new FakeKinesis({ streams: { orders: 1 } });
  const Data = Buffer.from(`{"card":"${CANARY}"`);
  await client.send(new PutRecordCommand({ StreamName: "orders", PartitionKey: CANARY, Data }));
  const consumer = new Consumer({
    stream: "orders",
    application: "billing",
    client,
    logger,
    counter: { add: tell, set: tell, record: tell, remove: tell },
    start: "TRIM_HORIZON",
    drainTimeoutMs: 1000,
    ...(store === undefined ? {} : { store }),
  });
  const stop = new AbortController();
  const events = (async () => {
    for await (const event of consumer.events({ signal: stop.signal })) told.push(event);
  })();
  let error: unknown;
  let isSettled = false;
  const handle = ({ data }: { readonly data: Uint8Array }): never => {
    throw new Error(`no card: ${Buffer.from(data).toString()}`);
  };
  const scan = consumer
    .scan(handle, { signal: stop.signal })
    .catch((thrown: unknown) => (error = thrown))
    .finally(() => (isSettled = true));
  const deadline = performance.now() + 120_000;
  while (!isSettled && !isOver(told)) {
    if (performance.now() > deadline) throw new Error(`not within 120 s: ${inspect(told)}`);
    await sleep(20);
    told.push(consumer.status(), consumer.health());
  }
  stop.abort();
  await scan;
  await events;
  return { told, error };
}

test.each(STORES)(
  "no password or key of a store is in anything that is reported: %s",
  async (_what, open) => {
    const store = open();
    onTestFinished(() => store[Symbol.asyncDispose]());
    const isTroubled = (told: readonly unknown[]): boolean =>
      inspect(told, { depth: 6 }).includes("STORE_");
    const { told, error } = await toldBy(store, isTroubled);
    expect(told.length).toBeGreaterThan(0);
    expect(everything(told)).not.toContain(CANARY);
    expect(everything(error)).not.toContain(CANARY);
  },
);

test("no data and no partition key is in anything that is reported, whatever the handler throws", async () => {
  const { told, error } = await toldBy(undefined, () => false);
  if (!KcError.is(error)) throw new Error("the scan did not fail", { cause: error });
  expect(error.code).toBe("HANDLER_FAILED");
  // The handler's own error is handed to the program alone, as the cause.
  expect(everything(error.cause)).toContain(CANARY);
  expect(`${error.message} ${error.stack}`).not.toContain(CANARY);
  const ends = new Set(["scan-stopping", "scan-ended"]);
  const others = told.filter((each) => !ends.has((each as { kind?: string }).kind ?? ""));
  expect(others.length).toBeGreaterThan(0);
  expect(everything(others)).not.toContain(CANARY);
});

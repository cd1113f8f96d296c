import { readFileSync } from "node:fs";
import { startRedis } from "@kc-internal/test-services";
import { KcError, type TransactionalWrite } from "@kc/core";
import { expect, onTestFinished, test } from "vitest";
import type { RedisStoreOptions, RedisTransaction, RedisValue } from "../src/index.ts";
import { ApplicationKeys } from "../src/keys.ts";
import { TRANSACT_SHARD } from "../src/statements.ts";
import { COMMANDS } from "../src/transaction.ts";
import { at, connect, numberAt, openStore, ownScope, SHARD } from "./support/redis.ts";

const MISUSED = { name: "StoreError", code: "TRANSACTION_MISUSED", retryable: false } as const;

const writeOf = (from: number, to: number): TransactionalWrite => ({
  shardId: SHARD,
  from: { sequenceNumber: numberAt(from) },
  checkpoint: at(to),
});

function rejection(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    (answer) => ({ answer }),
    (error: unknown) => error,
  );
}

function opened(url?: string, own: Pick<RedisStoreOptions, "keyPrefix"> = {}) {
  const client = connect(url);
  const scope = ownScope();
  const store = openStore({ client, ...own });
  const keys = new ApplicationKeys("", scope);
  return { client, scope, store, keys, keyOf: (name: string) => keys.userKey(SHARD, name) };
}

test("commands run in their order, with values of any bytes, on keys of the shard's and others", async () => {
  const { client, scope, store, keyOf } = opened();
  const bytes = new Uint8Array([0, 255, 13, 10]);
  const other = `${scope.application}:total`;
  const answer = await store.transact(scope, writeOf(1, 3), (tx) => {
    tx.command("hset", tx.key("order"), "payload", bytes, "n", 1.5);
    tx.command("RPUSH", tx.key("list"), "a", "b");
    tx.command("rpush", tx.key("list"), "ü");
    tx.command("INCRBY", other, 3);
    tx.command("PERSIST", other);
    return "value";
  });
  expect(answer).toStrictEqual({ outcome: "committed", value: "value" });
  expect(await client.hgetBuffer(keyOf("order"), "payload")).toStrictEqual(Buffer.from(bytes));
  expect(await client.hget(keyOf("order"), "n")).toBe("1.5");
  expect(await client.lrange(keyOf("list"), 0, -1)).toStrictEqual(["a", "b", "ü"]);
  expect(await client.get(other)).toBe("3");
});

test("a batch of 200,000 values is written, and one of more than the oldest servers take is refused", async () => {
  const { client, scope, store, keyOf } = opened();
  const values = Array.from({ length: 3997 }, (_, n) => n);
  const push =
    (commands: number) =>
    (tx: RedisTransaction): void => {
      for (let n = 0; n < commands; n += 1) tx.command("RPUSH", tx.key("list"), ...values);
    };
  expect(await rejection(store.transact(scope, writeOf(1, 3), push(263)))).toMatchObject({
    ...MISUSED,
    message: expect.stringContaining("maxRecords"),
  });
  expect(await client.llen(keyOf("list"))).toBe(0);
  const answer = await store.transact(scope, writeOf(1, 3), push(50));
  expect(answer).toMatchObject({ outcome: "committed" });
  expect(await client.llen(keyOf("list"))).toBe(50 * values.length);
});

test.each<[string, (tx: RedisTransaction, own: readonly string[]) => void]>([
  ["EXEC", (tx) => tx.command("EXEC", "key")],
  ["a script", (tx) => tx.command("EVAL", "return 1", 0)],
  ["a command that waits", (tx) => tx.command("BLPOP", "key", 0)],
  ["a command of several keys", (tx) => tx.command("RENAME", "key", "other")],
  ["the store's own key", (tx, own) => tx.command("SET", own[0]!, "1")],
  ["the shard's other key", (tx, own) => tx.command("HDEL", own[1]!, "epoch")],
  ["no key", (tx) => tx.command("SET", "", "1")],
  ["a value that is no number", (tx) => tx.command("SET", "key", Number.NaN)],
  ["a value of another type", (tx) => tx.command("SET", "key", {} as RedisValue)],
  ["too many values", (tx) => tx.command("RPUSH", "key", ...Array<string>(4001).fill("a"))],
])("%s is refused before anything is written", async (_, misuse) => {
  const { scope, store, keys, client, keyOf } = opened();
  const answer = store.transact(scope, writeOf(1, 3), (tx) => {
    tx.command("RPUSH", tx.key("list"), "a");
    misuse(tx, keys.shard(SHARD));
  });
  expect(await rejection(answer)).toMatchObject({ ...MISUSED, shardId: SHARD });
  expect(await client.exists(keyOf("list"))).toBe(0);
});

test("a handler that goes on after a command was refused has stored nothing", async () => {
  const { scope, store, client, keyOf } = opened();
  const answer = store.transact(scope, writeOf(1, 3), (tx) => {
    tx.command("RPUSH", tx.key("list"), "a");
    try {
      tx.command("RPUSH", tx.key("list"), Number.NaN);
    } catch {
      // As a handler does that looks at one record after the other.
    }
  });
  expect(await rejection(answer)).toMatchObject({ ...MISUSED, shardId: SHARD });
  expect(await client.exists(keyOf("list"))).toBe(0);
  expect(await store.getCheckpoint(scope, SHARD)).toBeUndefined();
});

test("bytes whose memory the handler uses again are stored as they were", async () => {
  const { scope, store, client, keyOf } = opened();
  const bytes = new Uint8Array(4);
  await store.transact(scope, writeOf(1, 3), (tx) => {
    for (const n of [1, 2, 3]) tx.command("RPUSH", tx.key("list"), bytes.fill(n));
  });
  const stored = await client.lrangeBuffer(keyOf("list"), 0, -1);
  expect(stored.map(([first]) => first)).toStrictEqual([1, 2, 3]);
});

test("four thousand values of one command are taken", async () => {
  const { client, scope, store, keyOf } = opened();
  const values = Array.from({ length: 4000 }, (_, n) => n);
  await store.transact(scope, writeOf(1, 3), (tx) =>
    tx.command("RPUSH", tx.key("list"), ...values),
  );
  expect(await client.llen(keyOf("list"))).toBe(4000);
});

test("where a command fails those before it stand, none behind it runs, and the checkpoint is not written", async () => {
  const { client, scope, store, keyOf } = opened();
  const answer = store.transact(scope, writeOf(1, 3), (tx) => {
    tx.command("SET", tx.key("text"), "a");
    tx.command("RPUSH", tx.key("text"), "b");
    tx.command("SET", tx.key("behind"), "c");
  });
  const error = await rejection(answer);
  expect(KcError.is(error)).toBe(false);
  expect(error).toMatchObject({
    name: "ReplyError",
    message: expect.stringMatching(/WRONGTYPE.*RPUSH, command 2/s),
  });
  expect(await client.mget(keyOf("text"), keyOf("behind"))).toStrictEqual(["a", null]);
  expect(await store.getCheckpoint(scope, SHARD)).toBeUndefined();
});

test("a server that takes no writes refuses a transaction as the store's own, before any command", async () => {
  const server = await startRedis();
  onTestFinished(() => server.close());
  const { client, scope, store, keyOf } = opened(server.url);
  await store.transact(scope, writeOf(1, 3), (tx) => tx.command("SET", tx.key("text"), "a"));
  await client.config("SET", "maxmemory", "1");
  const set = (): Promise<unknown> =>
    rejection(store.transact(scope, writeOf(4, 6), (tx) => tx.command("SET", tx.key("text"), "b")));
  expect(await set()).toMatchObject({ code: "STORE_UNAVAILABLE", retryable: true });
  await client.config("SET", "maxmemory", "0");
  await client.replicaof("127.0.0.1", 1);
  expect(await set()).toMatchObject({ code: "STORE_UNAVAILABLE", retryable: true });
  await client.replicaof("NO", "ONE");
  expect(await client.get(keyOf("text"))).toBe("a");
});

test("a transaction is one script and one round trip, and its script is sent in full where the server forgot it", async () => {
  const { client, scope, store, keyOf } = opened();
  const push = (n: number) =>
    store.transact(scope, writeOf(n, n), (tx) => tx.command("RPUSH", tx.key("list"), n));
  await push(1);
  const sent: unknown[] = [];
  const pipeline = client.pipeline.bind(client);
  Reflect.set(client, "pipeline", (commands: unknown[][]) => {
    sent.push(...commands.map(([name, args]) => [name, Object(args)[0]]));
    return pipeline(commands);
  });
  await push(2);
  expect(sent).toStrictEqual([["evalsha", TRANSACT_SHARD.sha]]);
  expect(await client.lrange(keyOf("list"), 0, -1)).toStrictEqual(["1", "2"]);
});

test("a shard whose removal is remembered takes a transaction, and is listed again", async () => {
  const { client, scope, store, keys, keyOf } = opened();
  await store.setCheckpoint(scope, { shardId: SHARD, checkpoint: at(1) });
  const [checkpoint, companion] = keys.shard(SHARD);
  await client.del(checkpoint);
  await client.del(companion);
  await client.hset(companion, { epoch: "1", gone: "a removal" });
  const again = openStore({ client });
  const answer = await again.transact(scope, writeOf(2, 3), (tx) =>
    tx.command("SET", tx.key("text"), "a"),
  );
  expect(answer.outcome).toBe("committed");
  expect(await client.get(keyOf("text"))).toBe("a");
  expect(await client.hexists(companion, "gone")).toBe(0);
});

test("the README lists the commands", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const [, list] = /<!-- commands -->\n\n(.*)\n/.exec(readme)!;
  const names = [...list!.matchAll(/`([A-Z]+)`/g)].map(([, name]) => name!);
  expect(names.toSorted()).toStrictEqual([...COMMANDS].toSorted());
});

import type { StoreScope } from "@kc/core";
import { startProxy, startRedis, type Proxy, type RedisServer } from "@kc-internal/test-services";
import { Redis } from "ioredis";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  onTestFinished,
  vi,
} from "vitest";
import type { RedisStoreOptions } from "../src/index.ts";
import { ApplicationKeys } from "../src/keys.ts";
import {
  at,
  connect,
  expectFailure,
  failure,
  numberAt,
  openStore,
  ownScope,
  SHARD,
  writeOf,
} from "./support/redis.ts";
import { recovered } from "./support/recovered.ts";

const unavailable = { code: "STORE_UNAVAILABLE", retryable: true } as const;
const denied = { code: "STORE_ACCESS_DENIED", retryable: false } as const;
const closed = { code: "STORE_CLOSED", retryable: false } as const;
/** Long enough for a busy machine's answer, short enough to wait for it. */
const timeoutMs = 1000;

let server: RedisServer;
let proxy: Proxy;
let admin: Redis;
let scope: StoreScope;

beforeAll(async () => {
  server = await startRedis();
  proxy = await startProxy(server);
});
afterAll(async () => {
  await proxy.close();
  await server.close();
});
beforeEach(() => {
  admin = connect(server.url);
  scope = ownScope();
});
afterEach(() => proxy.restore());

const url = (): string => `redis://${proxy.host}:${proxy.port}`;
const key = (): string => new ApplicationKeys("", scope).shard(SHARD)[0];

/** Both ways to connect, through the proxy. */
const forms: readonly (readonly [string, () => RedisStoreOptions])[] = [
  ["a connection", () => ({ connection: url(), timeoutMs })],
  ["a client", () => ({ client: connect(url()), timeoutMs })],
];

describe.each(forms)("on %s", (_form, options) => {
  it("a server that is killed in the middle of a flush has all that it acknowledged", async () => {
    const store = openStore(options());
    const shards = Array.from({ length: 300 }, (_, n) => `shardId-${n}`);
    const flush = (n: number) =>
      store.setCheckpoints(
        scope,
        shards.map((shardId) => writeOf(at(n), shardId)),
      );
    await flush(1);
    const interrupted = flush(2).then(
      () => "acknowledged" as const,
      (error: unknown) => error,
    );
    await server.kill();
    const outcome = await interrupted;
    await server.restart();
    if (outcome !== "acknowledged") expect(outcome).toMatchObject(unavailable);
    const found = await recovered(() => store.getCheckpoints(scope));
    expect(found.size).toBe(300);
    const behind = [...found.values()].filter(
      (checkpoint) => checkpoint.kind === "position" && checkpoint.sequenceNumber !== numberAt(2),
    );
    if (outcome === "acknowledged") expect(behind).toStrictEqual([]);
    for (const { outcome: again } of await recovered(() => flush(2))) {
      expect(["written", "same"]).toContain(again);
    }
  });

  it("a server that is frozen for longer than timeoutMs is unavailable, then available", async () => {
    const store = openStore(options());
    await store.setCheckpoint(scope, writeOf(at(1)));
    server.freeze();
    try {
      await expectFailure(store.setCheckpoint(scope, writeOf(at(2))), unavailable);
      await expectFailure(store.getCheckpoint(scope, SHARD), unavailable);
    } finally {
      server.thaw();
    }
    const { outcome } = await recovered(() => store.setCheckpoint(scope, writeOf(at(2))));
    expect(["written", "same"]).toContain(outcome);
  });

  it("a connection that went silent hangs no call", async () => {
    const store = openStore(options());
    await store.setCheckpoint(scope, writeOf(at(1)));
    proxy.blackhole();
    await expectFailure(store.setCheckpoint(scope, writeOf(at(2))), unavailable);
    await expectFailure(store.getCheckpoints(scope), unavailable);
    await proxy.restore();
    expect(await recovered(() => store.setCheckpoint(scope, writeOf(at(3))))).toMatchObject({
      stored: at(3),
    });
  });

  it("what was refused without a connection is not written when there is one", async () => {
    const store = openStore(options());
    await store.setCheckpoint(scope, writeOf(at(1)));
    await proxy.cut();
    // What is sent before the driver has noticed the cut may be sent again: the first ones can.
    await expectFailure(store.setCheckpoint(scope, writeOf(at(1))), unavailable);
    await expectFailure(store.setCheckpoint(scope, writeOf(at(2))), unavailable);
    await proxy.restore();
    // Everything that the driver had in its queue would be sent before this.
    expect(await recovered(() => store.getCheckpoint(scope, SHARD))).toStrictEqual(at(1));
    expect(await admin.get(key())).toBe(numberAt(1));
  });

  it("a server that is not there yet is awaited by the calls that follow", async () => {
    await proxy.cut();
    const store = openStore(options());
    await expectFailure(store.getCheckpoints(scope), unavailable);
    await proxy.restore();
    expect(await recovered(() => store.getCheckpoints(scope))).toStrictEqual(new Map());
  });

  it("an aborted signal ends a call that waits, and dispose ends it too", async () => {
    const store = openStore({ ...options(), timeoutMs: 60_000 });
    await store.getCheckpoints(scope);
    proxy.blackhole();
    const reason = new Error("the caller's own reason");
    const abort = new AbortController();
    const aborted = store.getCheckpoint(scope, SHARD, { signal: abort.signal });
    const disposed = store.setCheckpoints(scope, [writeOf(at(1)), writeOf(at(1), "other")]);
    abort.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await Promise.all([expectFailure(disposed, closed), store[Symbol.asyncDispose]()]);
  });

  it("scripts that were flushed are sent again", async () => {
    const store = openStore(options());
    const shards = Array.from({ length: 50 }, (_, n) => `shardId-${n}`);
    const write = (n: number) =>
      store.setCheckpoints(
        scope,
        shards.map((shardId) => writeOf(at(n), shardId)),
      );
    await write(0);
    for (let n = 1; n <= 20; n++) {
      const [, answers] = await Promise.all([admin.script("FLUSH"), write(n)]);
      expect(answers.filter(({ outcome }) => outcome !== "written")).toStrictEqual([]);
      await admin.script("FLUSH");
      expect((await store.getCheckpoints(scope)).size).toBe(50);
    }
  });
});

describe("a silent connection", () => {
  it("of the store's own is closed, and another one made", async () => {
    const store = openStore({ connection: url(), timeoutMs });
    await store.getCheckpoints(scope);
    const connections = async (): Promise<readonly string[]> => {
      const list = String(await admin.client("LIST"));
      return [...list.matchAll(/^id=(\d+) /gm)].map(([, id]) => id!);
    };
    const before = await connections();
    proxy.blackhole();
    await expectFailure(store.getCheckpoints(scope), unavailable);
    await proxy.restore();
    await recovered(() => store.getCheckpoints(scope));
    // Connections that were begun in vain meanwhile reach the server when the proxy passes them on, and end there.
    const made = async () => (await connections()).filter((id) => !before.includes(id));
    await expect.poll(made).toHaveLength(1);
    const [own] = await made();
    await store.getCheckpoints(scope);
    expect(await made()).toStrictEqual([own]);
  });
});

describe("a connection that breaks under a call", () => {
  it("of the store's own fails it at once, and does not send it again", async () => {
    const store = openStore({ connection: url(), timeoutMs: 60_000 });
    await store.setCheckpoint(scope, writeOf(at(1)));
    proxy.blackhole();
    const interrupted = failure(store.setCheckpoint(scope, writeOf(at(2))));
    // Until it is on the wire, from which it will vanish.
    await new Promise(setImmediate);
    await proxy.cut();
    await proxy.restore();
    expect(await interrupted).toMatchObject(unavailable);
    expect(await recovered(() => store.getCheckpoint(scope, SHARD))).toStrictEqual(at(1));
    expect(await admin.get(key())).toBe(numberAt(1));
  });
});

describe("a server that refuses", () => {
  /** Against hangs alone: it answers at once. */
  const patientMs = 30_000;
  const writes = (options: RedisStoreOptions = { connection: server.url, timeoutMs: patientMs }) =>
    openStore(options).setCheckpoint(scope, writeOf(at(1)));

  it("because it is a replica now is unavailable, for reads too", async () => {
    const store = openStore({ connection: server.url, timeoutMs: patientMs });
    await store.setCheckpoint(scope, writeOf(at(1)));
    await admin.replicaof("127.0.0.1", 1);
    try {
      const readonly = { ...unavailable, text: "READONLY" } as const;
      await expectFailure(store.setCheckpoint(scope, writeOf(at(2))), readonly);
      await expectFailure(store.getCheckpoint(scope, SHARD), readonly);
      await expectFailure(store.getCheckpoints(scope), readonly);
      await expectFailure(openStore({ client: admin }).getCheckpoint(scope, SHARD), readonly);
    } finally {
      await admin.replicaof("NO", "ONE");
    }
    expect(await store.setCheckpoint(scope, writeOf(at(2)))).toMatchObject({ outcome: "written" });
  });

  it("because it has no memory left is unavailable", async () => {
    const oom = { ...unavailable, text: "OOM" } as const;
    const store = openStore({ connection: server.url, timeoutMs: patientMs });
    const known = { ...scope, streamName: "known" };
    await store.setCheckpoint(known, writeOf(at(1)));
    await admin.config("SET", "maxmemory", "1");
    try {
      await expectFailure(writes(), oom);
      await expectFailure(store.setCheckpoint(known, writeOf(at(2))), oom);
      expect(await store.getCheckpoint(known, SHARD)).toStrictEqual(at(1));
    } finally {
      await admin.config("SET", "maxmemory", "0");
    }
    expect(await writes()).toMatchObject({ outcome: "written" });
  });

  it("because it has too few replicas is unavailable", async () => {
    await admin.config("SET", "min-replicas-to-write", "1");
    try {
      await expectFailure(writes(), { ...unavailable, text: "NOREPLICAS" });
    } finally {
      await admin.config("SET", "min-replicas-to-write", "0");
    }
  });

  it("because it has too many clients is unavailable", async () => {
    const [, before] = (await admin.config("GET", "maxclients")) as [string, string];
    await admin.config("SET", "maxclients", "1");
    try {
      await expectFailure(writes(), unavailable);
    } finally {
      await admin.config("SET", "maxclients", before);
    }
  });

  it("because a script blocks it is unavailable", async () => {
    const busy = connect(server.url);
    await admin.config("SET", "busy-reply-threshold", "10");
    const store = openStore({ connection: server.url, timeoutMs: patientMs });
    await store.getCheckpoints(scope);
    const endless = busy.eval("while true do end", 0).catch((error: unknown) => error);
    // Not by the store: what comes before the script is done.
    const isBusy = (): Promise<unknown> => admin.ping().catch(String);
    try {
      await expect.poll(isBusy).toMatch(/BUSY/);
      await expectFailure(store.setCheckpoint(scope, writeOf(at(1))), {
        ...unavailable,
        text: "BUSY",
      });
    } finally {
      await admin.script("KILL");
      await endless;
    }
    expect(await store.setCheckpoint(scope, writeOf(at(1)))).toMatchObject({ outcome: "written" });
  });

  it("because the password is wrong or missing denies access", async () => {
    await admin.config("SET", "requirepass", "secret");
    try {
      const { host, port } = server;
      await expectFailure(writes(), { ...denied, text: "NOAUTH" });
      const wrong = `redis://:wrong@${host}:${port}`;
      await expectFailure(writes({ connection: wrong, timeoutMs: patientMs }), {
        ...denied,
        text: "WRONGPASS",
      });
      await expectFailure(writes({ client: connect(wrong), timeoutMs: patientMs }), denied);
      const right = `redis://:secret@${host}:${port}`;
      expect(await writes({ connection: right, timeoutMs: patientMs })).toMatchObject({
        outcome: "written",
      });
    } finally {
      await admin.config("SET", "requirepass", "");
    }
  });

  it("because a right was taken away denies access: for a minute it may come back", async () => {
    await admin.acl("SETUSER", "kc", "on", ">pass", "~*", "+@all");
    const store = openStore({
      connection: `redis://kc:pass@${server.host}:${server.port}`,
      timeoutMs: patientMs,
    });
    await store.setCheckpoint(scope, writeOf(at(1)));
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    for (const right of ["-evalsha", "-set", "resetkeys"]) {
      await admin.acl("SETUSER", "kc", right);
      const refused = { ...denied, retryable: true };
      await expectFailure(store.setCheckpoint(scope, writeOf(at(2))), refused);
      vi.advanceTimersByTime(59_999);
      await expectFailure(store.setCheckpoint(scope, writeOf(at(2))), refused);
      vi.advanceTimersByTime(1);
      await expectFailure(store.setCheckpoint(scope, writeOf(at(2))), denied);
      await admin.acl("SETUSER", "kc", "~*", "+@all");
      await store.getCheckpoint(scope, SHARD);
      vi.advanceTimersByTime(30_000); // without a refusal: the next one has a minute of its own
    }
    expect(await store.setCheckpoint(scope, writeOf(at(2)))).toMatchObject({ outcome: "written" });
  });
});

describe("a client that was handed in", () => {
  it("may be one that connects late, and one that queues nothing", async () => {
    for (const options of [{ lazyConnect: true }, { enableOfflineQueue: false }]) {
      const client = new Redis(server.url, options);
      const store = openStore({ client, timeoutMs });
      expect(await store.getCheckpoints(ownScope())).toStrictEqual(new Map());
      await store[Symbol.asyncDispose]();
      expect(await client.ping()).toBe("PONG");
      client.disconnect();
    }
  });

  it("and that its owner closed is closed", async () => {
    const client = connect(server.url);
    const store = openStore({ client, timeoutMs });
    await store.getCheckpoints(scope);
    await client.quit();
    await expect.poll(() => client.status).toBe("end");
    await expectFailure(store.getCheckpoints(scope), closed);
  });

  it("keeps no listener of the store's", async () => {
    const client = new Redis(server.url, { lazyConnect: true });
    const listeners = (): number =>
      client.eventNames().reduce((total, name) => total + client.listenerCount(name), 0);
    const before = listeners();
    const store = openStore({ client, timeoutMs });
    await Promise.all(Array.from({ length: 20 }, () => store.getCheckpoints(scope)));
    expect(listeners()).toBe(before);
    client.disconnect();
  });

  it("is used in the database that it has selected", async () => {
    const client = new Redis(server.url, { db: 3 });
    await openStore({ client, timeoutMs }).setCheckpoint(scope, writeOf(at(1)));
    expect(await client.get(key())).toBe(numberAt(1));
    expect(await admin.get(key())).toBeNull();
    client.disconnect();
  });
});

describe("two stores whose prefixes make one key", () => {
  it("are reported by each call", async () => {
    const one = openStore({ client: admin, keyPrefix: "eu:" });
    const other = openStore({ client: admin });
    const theirs = { ...scope, application: `eu:${scope.application}` };
    const row = {
      ...scope,
      streamARN: "arn",
      start: "LATEST",
      startedAt: new Date(0),
      migrated: false,
    } as const;
    await one.openApplication(scope, row);
    await one.setCheckpoint(scope, writeOf(at(1)));
    const conflict = { code: "NAMESPACE_CONFLICT", retryable: false } as const;
    await expectFailure(other.getCheckpoint(theirs, SHARD), conflict);
    await expectFailure(other.getCheckpoints(theirs), conflict);
    await expectFailure(other.setCheckpoint(theirs, writeOf(at(2))), conflict);
    await expectFailure(other.setCheckpoints(theirs, [writeOf(at(2))]), conflict);
    await expectFailure(other.resetCheckpoint(theirs, SHARD, at(0)), conflict);
    expect(await other.openApplication(theirs, { ...row, ...theirs })).toStrictEqual({
      outcome: "existing",
      row,
    });
    expect(await one.getCheckpoints(scope)).toStrictEqual(new Map([[SHARD, at(1)]]));
  });
});

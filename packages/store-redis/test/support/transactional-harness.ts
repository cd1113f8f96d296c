import { randomUUID } from "node:crypto";
import type { TransactionalStoreHarness } from "@kc/conformance";
import { startProxy, type Address, type RedisClusterServer } from "@kc-internal/test-services";
import { Redis, type Cluster } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { inject } from "vitest";
import { RedisStore, type RedisTransaction } from "../../src/index.ts";
import { ApplicationKeys } from "../../src/keys.ts";
import { TRANSACT_SHARD } from "../../src/statements.ts";
import { connectCluster, natMapOf } from "./cluster.ts";
import { numberReader } from "./number-reader.ts";

export type TransactionalForm = "connection" | "client of ioredis 5";

const urlOf = ({ host, port }: Address): string => `redis://${host}:${port}`;

/** Keys of its own on the server that all tests share, or on a cluster, each node behind a proxy. */
export async function transactionalHarness(
  form: TransactionalForm | RedisClusterServer,
): Promise<TransactionalStoreHarness<RedisTransaction>> {
  const nodes: readonly Address[] = typeof form === "string" ? [inject("redis")] : form.nodes;
  const proxies = await Promise.all(nodes.map((node) => startProxy(node)));
  const keyPrefix = `${randomUUID()}:`;
  const closers: (() => unknown)[] = proxies.map((proxy) => () => proxy.close());
  const admins = nodes.map(({ host, port }) => new Redis({ host, port }));
  const direct = typeof form === "string" ? admins[0]! : connectCluster(form);
  closers.push(...[...admins, direct].map((client) => () => client.disconnect()));
  /** The lists of effects, one in the slot of each shard. */
  const lists = new Set<string>();

  /** Clients that would keep what they are given while they have not noticed an outage. */
  const borrowed: Redis5[] = [];
  const borrow = (at: readonly Address[]): Redis5 | Cluster => {
    if (typeof form !== "string") {
      const cluster = connectCluster({ nodes: at }, { natMap: natMapOf(nodes, at) });
      closers.unshift(() => cluster.disconnect());
      return cluster;
    }
    const client = new Redis5(urlOf(at[0]!));
    client.on("error", () => undefined);
    borrowed.push(client);
    closers.unshift(() => client.disconnect());
    return client;
  };
  const openAt = async (at: readonly Address[]): Promise<RedisStore> => {
    const source = form === "connection" ? { connection: urlOf(at[0]!) } : { client: borrow(at) };
    const store = new RedisStore({ ...source, keyPrefix, timeoutMs: 30_000 });
    closers.unshift(() => store[Symbol.asyncDispose]());
    return store;
  };

  return {
    open: () => openAt(proxies),
    servers: nodes,
    openAt,
    async endSessions(ports) {
      // Some are gone before they are ended.
      const kill = (admin: Redis, port: number): Promise<unknown> =>
        admin.client("KILL", "ADDR", `127.0.0.1:${port}`).catch(() => undefined);
      await Promise.all(admins.flatMap((admin) => ports.map((port) => kill(admin, port))));
    },
    async breakConnection() {
      const noticed = borrowed
        .filter(({ status }) => status === "ready")
        .map((client) => new Promise<void>((resolve) => client.once("close", () => resolve())));
      await Promise.all(proxies.map((proxy) => proxy.cut()));
      await Promise.all(noticed);
    },
    async restore() {
      await Promise.all(proxies.map((proxy) => proxy.restore()));
    },
    async cutAtCommit(when) {
      // A server that does not know the script has it sent in full, and that is the commit then.
      await Promise.all(admins.map((admin) => admin.script("LOAD", TRANSACT_SHARD.lua)));
      for (const proxy of proxies) proxy.cutAt(TRANSACT_SHARD.sha, when);
    },
    async grantLease(scope, shardId, { epoch, owner }) {
      const [, companion] = new ApplicationKeys(keyPrefix, scope).shard(shardId);
      await direct.hset(companion, { epoch, owner });
    },
    byNumber: numberReader(direct, keyPrefix),
    apply(tx, effect, { shardId, ...scope }) {
      lists.add(new ApplicationKeys(keyPrefix, scope).userKey(shardId, "effects"));
      tx.command("RPUSH", tx.key("effects"), effect);
    },
    misuses: { EXEC: (tx) => tx.command("EXEC", tx.key("effects")) },
    refuse(tx) {
      tx.command("SET", tx.key("text"), "a");
      tx.command("RPUSH", tx.key("text"), "b");
    },
    async effects() {
      const all = await Promise.all([...lists].map((key) => direct.lrange(key, 0, -1)));
      return all.flat();
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
    },
  };
}

import { randomUUID } from "node:crypto";
import type { FrozenClientHarness, LeaseStoreHarness, ServerAddress } from "@kc/conformance";
import { startProxy, type Address, type RedisClusterServer } from "@kc-internal/test-services";
import { Cluster, type ClusterOptions, Redis } from "ioredis";
import { RedisStore } from "../../src/index.ts";
import { ApplicationKeys } from "../../src/keys.ts";

/** A client of the cluster as a user would make it. */
export function connectCluster(
  { nodes }: { readonly nodes: readonly Address[] },
  options: Pick<ClusterOptions, "natMap" | "scaleReads"> = {},
): Cluster {
  const startup = nodes.map(({ host, port }) => ({ host, port }));
  const client = new Cluster(startup, { clusterRetryStrategy: () => 20, ...options });
  client.on("error", () => undefined);
  return client;
}

/** Keys of its own on a cluster each of whose nodes is reached through a proxy. */
export async function clusterHarness(cluster: RedisClusterServer): Promise<LeaseStoreHarness> {
  const proxies = await Promise.all(cluster.nodes.map((node) => startProxy(node)));
  const keyPrefix = `${randomUUID()}:`;
  const closers: (() => unknown)[] = proxies.map((proxy) => () => proxy.close());
  const natMap = natMapOf(cluster.nodes, proxies);
  const borrow = (): Cluster => {
    const client = connectCluster({ nodes: proxies }, { natMap });
    closers.unshift(() => client.disconnect());
    return client;
  };
  const openOn = (client: Cluster): RedisStore => {
    const store = new RedisStore({ client, keyPrefix, timeoutMs: 30_000 });
    closers.unshift(() => store[Symbol.asyncDispose]());
    return store;
  };
  return {
    open: async () => openOn(borrow()),
    async breakConnection() {
      await Promise.all(proxies.map((proxy) => proxy.cut()));
    },
    async restore() {
      await Promise.all(proxies.map((proxy) => proxy.restore()));
    },
    async grantLease(scope, shardId, { epoch, owner }) {
      const direct = connectCluster(cluster);
      const [, companion] = new ApplicationKeys(keyPrefix, scope).shard(shardId);
      await direct.hset(companion, { epoch, owner });
      direct.disconnect();
    },
    async openOnBorrowedClient() {
      const client = borrow();
      return { store: openOn(client), clientWorks: async () => (await client.get("a")) === null };
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
    },
  };
}

/** Each node is found at the address that leads to it. */
export function natMapOf(
  nodes: readonly Address[],
  addresses: readonly Address[],
): Record<string, Address> {
  const entries = nodes.map(({ host, port }, index): [string, Address] => {
    const address = addresses[index]!;
    return [`${host}:${port}`, { host: address.host, port: address.port }];
  });
  return Object.fromEntries(entries);
}

/** Keys of its own on a cluster; a client that stands still does so towards all nodes. */
export async function frozenClusterHarness({
  nodes,
}: RedisClusterServer): Promise<FrozenClientHarness> {
  const keyPrefix = `${randomUUID()}:`;
  const closers: (() => unknown)[] = [];
  const openAt = async (addresses: readonly ServerAddress[]): Promise<RedisStore> => {
    const natMap = natMapOf(nodes, addresses);
    const client = connectCluster({ nodes: addresses }, { natMap });
    const store = new RedisStore({ client, keyPrefix, timeoutMs: 30_000 });
    closers.push(
      () => store[Symbol.asyncDispose](),
      () => client.disconnect(),
    );
    return store;
  };
  return {
    servers: nodes,
    open: () => openAt(nodes),
    openAt,
    async [Symbol.asyncDispose]() {
      for (const close of closers) await close();
    },
  };
}

/** One node, as its administrator sees it. */
export interface ClusterNode {
  readonly client: Redis;
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

export async function adminOf(cluster: RedisClusterServer): Promise<readonly ClusterNode[]> {
  return Promise.all(
    cluster.nodes.map(async ({ host, port }) => {
      const client = new Redis({ host, port });
      client.on("error", () => undefined);
      return { client, host, port, id: await client.cluster("MYID") };
    }),
  );
}

/** Which of the nodes has the slot. */
export async function ownerOf(nodes: readonly ClusterNode[], slot: number): Promise<ClusterNode> {
  const ranges = await nodes[0]!.client.cluster("SLOTS");
  const [, , master] = ranges.find(([first, last]) => first <= slot && slot <= last)!;
  return nodes.find(({ port }) => port === master![1])!;
}

/** The steps of a slot's move from one node to another, as `redis-cli --cluster reshard` makes them. */
export function slotMove(slot: number, from: ClusterNode, to: ClusterNode) {
  return {
    async begin(): Promise<void> {
      await to.client.call("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id);
      await from.client.call("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id);
    },
    async moveKeys(): Promise<number> {
      let moved = 0;
      for (;;) {
        const keys = (await from.client.call("CLUSTER", "GETKEYSINSLOT", slot, 1)) as string[];
        if (keys.length === 0) return moved;
        // One at a time, so that the keys of a shard are apart for a while.
        await from.client.call("MIGRATE", to.host, to.port, keys[0]!, 0, 5000);
        moved += 1;
      }
    },
    async end(nodes: readonly ClusterNode[]): Promise<void> {
      for (const node of [to, from, ...nodes.filter((each) => each !== to && each !== from)]) {
        await node.client.call("CLUSTER", "SETSLOT", slot, "NODE", to.id);
      }
    },
  };
}

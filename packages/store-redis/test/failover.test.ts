import { startProxy, startRedis, type Proxy, type RedisServer } from "@kc-internal/test-services";
import type { StoreScope } from "@kc/core";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  at,
  connect,
  expectFailure,
  openStore,
  ownScope,
  SHARD,
  writeOf,
} from "./support/redis.ts";
import { recovered } from "./support/recovered.ts";

/** Against hangs alone: each server answers at once. */
const timeoutMs = 30_000;
const servers: RedisServer[] = [];
/** What a DNS name or a service's address does: new connections reach the primary of the moment. */
let name: Proxy;
let url: string;
let scope: StoreScope;

beforeAll(async () => {
  servers.push(await startRedis(), await startRedis());
  name = await startProxy(servers[0]!);
  url = `redis://${name.host}:${name.port}`;
});
afterAll(async () => {
  await name.close();
  for (const server of servers) await server.close();
});
beforeEach(async () => {
  scope = ownScope();
  const [primary, replica] = servers;
  await connect(primary!.url).replicaof("NO", "ONE");
  await follow(replica!, primary!);
  name.pointAt(primary!);
});

/** A server becomes a replica, and has all that its primary has. */
async function follow(replica: RedisServer, { host, port }: RedisServer): Promise<void> {
  const client = connect(replica.url);
  await client.replicaof(host, port);
  await expect.poll(() => client.info("replication")).toContain("master_link_status:up");
}

/** The replica is promoted, and the primary demoted. Neither ends a connection. */
async function failOver(): Promise<void> {
  const [primary, replica] = servers;
  await connect(replica!.url).replicaof("NO", "ONE");
  await connect(primary!.url).replicaof(replica!.host, replica!.port);
  name.pointAt(replica!);
}

const acknowledged = async (): Promise<void> => {
  const [primary] = servers;
  await connect(primary!.url).wait(1, 0);
};

describe("a failover that ends no connection", () => {
  it("is followed by the store's own connection: it leaves a server that became a replica", async () => {
    const store = openStore({ connection: url, timeoutMs });
    await store.setCheckpoint(scope, writeOf(at(1)));
    await acknowledged();
    await failOver();
    await expectFailure(store.setCheckpoint(scope, writeOf(at(2))), {
      code: "STORE_UNAVAILABLE",
      retryable: true,
      text: "READONLY",
    });
    const { outcome } = await recovered(() => store.setCheckpoint(scope, writeOf(at(2))));
    expect(outcome).toBe("written");
    expect(
      await openStore({ connection: servers[1]!.url }).getCheckpoint(scope, SHARD),
    ).toStrictEqual(at(2));
  });

  it("is followed by a flush of many shards, each of which was refused", async () => {
    const store = openStore({ connection: url, timeoutMs });
    const shards = Array.from({ length: 300 }, (_, n) => `shardId-${n}`);
    const flush = (n: number) =>
      store.setCheckpoints(
        scope,
        shards.map((shardId) => writeOf(at(n), shardId)),
      );
    await flush(1);
    await acknowledged();
    await failOver();
    const answers = await recovered(() => flush(2));
    expect(new Set(answers.map(({ outcome }) => outcome))).toStrictEqual(new Set(["written"]));
  });

  it("is followed where the old primary continues alone, and refuses what it cannot replicate", async () => {
    const [primary, replica] = servers;
    const store = openStore({ connection: url, timeoutMs });
    await store.setCheckpoint(scope, writeOf(at(1)));
    await acknowledged();
    const admin = connect(primary!.url);
    await connect(replica!.url).replicaof("NO", "ONE");
    await expect.poll(() => admin.info("replication")).toContain("connected_slaves:0");
    await admin.config("SET", "min-replicas-to-write", "1");
    try {
      name.pointAt(replica!);
      const refused = { code: "STORE_UNAVAILABLE", retryable: true, text: "NOREPLICAS" } as const;
      await expectFailure(store.setCheckpoint(scope, writeOf(at(2))), refused);
      const { outcome } = await recovered(() => store.setCheckpoint(scope, writeOf(at(2))));
      expect(outcome).toBe("written");
    } finally {
      await admin.config("SET", "min-replicas-to-write", "0");
    }
  });

  it("is followed by a client that has reconnectOnError, as the README shows it", async () => {
    const client = new Redis(url, {
      reconnectOnError: (error) => error.message.startsWith("READONLY"),
      socketTimeout: timeoutMs,
    });
    const store = openStore({ client, timeoutMs });
    await store.setCheckpoint(scope, writeOf(at(1)));
    await acknowledged();
    await failOver();
    expect((await recovered(() => store.setCheckpoint(scope, writeOf(at(2))))).outcome).toBe(
      "written",
    );
    client.disconnect();
  });
});

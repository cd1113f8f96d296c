import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it, onTestFinished, vi } from "vitest";
import { startProxy } from "@kc-internal/test-services";
import { DynamoDBStore } from "../src/index.ts";
import { at, openTable, scope, shardId } from "./support/fixture.ts";
import { startFaultyService } from "./support/service.ts";
import { connect } from "./support/table.ts";

const write = { shardId, checkpoint: at(1) };

it("without a client it makes one, by the environment, and destroys it", async () => {
  const { table } = await openTable();
  const service = await startFaultyService();
  vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", `http://${service.host}:${service.port}`);
  vi.stubEnv("AWS_REGION", "us-east-1");
  vi.stubEnv("AWS_ACCESS_KEY_ID", "any");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "any");
  onTestFinished(() => void vi.unstubAllEnvs());
  const store = new DynamoDBStore({ table: table.name });
  expect((await store.setCheckpoint(scope, write)).outcome).toBe("written");
  expect(await service.connections()).toBeGreaterThan(0);
  await store[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  const deadline = performance.now() + 30_000;
  for (let open = 1; open > 0; open = await service.connections()) {
    expect(performance.now(), `${open} connections are open`).toBeLessThan(deadline);
    await delay(5);
  }
  await expect(store.getCheckpoints(scope)).rejects.toMatchObject({ code: "STORE_CLOSED" });
});

it("a client that was handed in works after dispose, in a next store too", async () => {
  const { table } = await openTable();
  const client = connect();
  const destroy = vi.spyOn(client, "destroy");
  onTestFinished(() => client.destroy());
  const store = new DynamoDBStore({ client, table: table.name });
  await store.setCheckpoint(scope, write);
  await store[Symbol.asyncDispose]();
  expect(destroy).not.toHaveBeenCalled();
  const next = new DynamoDBStore({ client, table: table.name });
  expect(await next.getCheckpoint(scope, shardId)).toStrictEqual(at(1));
});

it("the constructor connects to nothing", async () => {
  const connections: unknown[] = [];
  const server: Server = createServer((socket) => void connections.push(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy = await startProxy({
    host: "127.0.0.1",
    port: (server.address() as { port: number }).port,
  });
  const client = connect(proxy);
  const store = new DynamoDBStore({ client, table: "checkpoints" });
  await store[Symbol.asyncDispose]();
  expect(connections).toStrictEqual([]);
  client.destroy();
  await proxy.close();
  server.close();
});

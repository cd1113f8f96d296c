import { KinesisClient, ListShardsCommand } from "@aws-sdk/client-kinesis";
import { startEmulator } from "@kc/emulator";
import { expect, test } from "vitest";

test("the unmodified SDK talks to it", async () => {
  const emulator = await startEmulator({ streams: { orders: 4 } });
  const client = new KinesisClient({
    endpoint: emulator.url,
    region: "us-east-1",
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
  });

  const { Shards } = await client.send(new ListShardsCommand({ StreamName: "orders" }));
  expect(Shards).toHaveLength(4);

  client.destroy();
  await emulator.close();
});

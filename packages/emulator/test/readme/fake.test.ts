import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordCommand,
} from "@aws-sdk/client-kinesis";
import { FakeClock, FakeKinesis } from "@kc/emulator";
import { expect, test } from "vitest";

test("an iterator expires after five minutes", async () => {
  const clock = new FakeClock();
  const kinesis = new FakeKinesis({ clock, streams: { orders: 1 } });

  await kinesis.send(
    new PutRecordCommand({
      StreamName: "orders",
      PartitionKey: "customer-7",
      Data: Buffer.from("one pizza"),
    }),
  );
  const { ShardIterator } = await kinesis.send(
    new GetShardIteratorCommand({
      StreamName: "orders",
      ShardId: "shardId-000000000000",
      ShardIteratorType: "TRIM_HORIZON",
    }),
  );
  const page = await kinesis.send(new GetRecordsCommand({ ShardIterator }));
  expect(Buffer.from(page.Records![0]!.Data!).toString()).toBe("one pizza");

  await clock.advance(5 * 60_000 + 1); // takes no time
  await expect(kinesis.send(new GetRecordsCommand({ ShardIterator }))).rejects.toMatchObject({
    name: "ExpiredIteratorException",
  });
});

import {
  DryRunOperationException,
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordCommand,
  PutRecordsCommand,
} from "@aws-sdk/client-kinesis";
import { describe, expect, it } from "vitest";
import { SHARD, bytes, setup } from "./setup.ts";

const DryRun = true;
const record = { PartitionKey: "k", Data: bytes("a") };

describe("DryRun", () => {
  it("writes nothing, reads nothing, and answers DryRunOperationException", async () => {
    const { kinesis, iterator, read } = setup();
    const ShardIterator = await iterator();
    const horizon = { ShardId: SHARD, ShardIteratorType: "TRIM_HORIZON" } as const;
    const calls = [
      kinesis.send(new PutRecordCommand({ StreamName: "s", ...record, DryRun })),
      kinesis.send(new PutRecordsCommand({ StreamName: "s", Records: [record], DryRun })),
      kinesis.send(new GetShardIteratorCommand({ StreamName: "s", ...horizon, DryRun })),
      kinesis.send(new GetRecordsCommand({ ShardIterator, DryRun })),
    ];
    for (const call of calls) await expect(call).rejects.toThrow(DryRunOperationException);
    expect((await read(ShardIterator)).Records).toEqual([]);
  });

  it("says what would be refused", async () => {
    const { kinesis } = setup();
    await expect(
      kinesis.send(new PutRecordCommand({ StreamName: "missing", ...record, DryRun })),
    ).rejects.toMatchObject({ name: "ResourceNotFoundException" });
    await expect(
      kinesis.send(new GetRecordsCommand({ ShardIterator: "nonsense", DryRun })),
    ).rejects.toMatchObject({ name: "InvalidArgumentException" });
  });
});

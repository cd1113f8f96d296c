import {
  ProvisionedThroughputExceededException,
  PutRecordCommand,
  PutRecordsCommand,
} from "@aws-sdk/client-kinesis";
import { describe, expect, it } from "vitest";
import { bytes, SHARD, setup } from "./setup.ts";

describe("quotas", () => {
  it("admit five GetRecords a second, and one more after 200 ms", async () => {
    const { clock, iterator, read } = setup();
    const at = await iterator();
    for (let i = 0; i < 5; i++) await read(at);
    await expect(read(at)).rejects.toThrow(ProvisionedThroughputExceededException);
    await clock.advance(199);
    await expect(read(at)).rejects.toThrow(`Rate exceeded for shard ${SHARD} in stream s`);
    await clock.advance(1);
    await read(at);
  });

  it("block a shard for five seconds after a reply of 10 MiB", async () => {
    const { clock, kinesis, iterator, read } = setup({ quotas: { writes: false } });
    const Data = new Uint8Array(1024 * 1024 - 1);
    for (let i = 0; i < 10; i++) {
      await kinesis.send(new PutRecordCommand({ StreamName: "s", PartitionKey: "k", Data }));
    }
    const first = await read(await iterator());
    expect(first.Records).toHaveLength(10);
    await clock.advance(4999);
    await expect(read(first.NextShardIterator)).rejects.toThrow("Rate exceeded");
    await clock.advance(1);
    await read(first.NextShardIterator);
  });

  it("fail single records of a PutRecords beyond 1,000 a second", async () => {
    const { clock, kinesis } = setup();
    const Records = Array.from({ length: 400 }, () => ({ PartitionKey: "k", Data: bytes("x") }));
    const command = new PutRecordsCommand({ StreamName: "s", Records });
    await kinesis.send(command);
    await kinesis.send(command);
    const third = await kinesis.send(command);
    expect(third.FailedRecordCount).toBe(200);
    expect(third.Records?.[199]).toMatchObject({ ShardId: SHARD });
    expect(third.Records?.[200]).toEqual({
      ErrorCode: "ProvisionedThroughputExceededException",
      ErrorMessage: `Rate exceeded for shard ${SHARD} in stream s under account 000000000000.`,
    });
    await clock.advance(1000);
    expect((await kinesis.send(command)).FailedRecordCount).toBe(0);
  });

  it("admit five GetShardIterator a second", async () => {
    const { iterator } = setup();
    for (let i = 0; i < 5; i++) await iterator();
    await expect(iterator()).rejects.toThrow(ProvisionedThroughputExceededException);
  });

  it("can be switched off", async () => {
    const { iterator, read } = setup({ quotas: false });
    const at = await iterator();
    for (let i = 0; i < 50; i++) await read(at);
  });
});

import {
  CreateStreamCommand,
  DeleteStreamCommand,
  ExpiredIteratorException,
  InvalidArgumentException,
  PutRecordCommand,
  ResourceNotFoundException,
} from "@aws-sdk/client-kinesis";
import { describe, expect, it } from "vitest";
import { bytes, setup } from "./setup.ts";

describe("reading", () => {
  it("pages by Limit and says how far behind each page is", async () => {
    const { clock, put, iterator, read } = setup();
    for (const text of ["a", "b", "c"]) {
      await put(text);
      await clock.advance(1000);
    }
    const first = await read(await iterator(), 2);
    expect(first.Records).toHaveLength(2);
    expect(first.MillisBehindLatest).toBe(1000);
    const second = await read(first.NextShardIterator, 2);
    expect(second.Records).toHaveLength(1);
    expect(second.MillisBehindLatest).toBe(0);
  });

  it("ends a page at 10 MiB", async () => {
    const { kinesis, iterator, read } = setup({ quotas: false });
    const Data = new Uint8Array(1024 * 1024 - 1);
    for (let i = 0; i < 11; i++) {
      await kinesis.send(new PutRecordCommand({ StreamName: "s", PartitionKey: "k", Data }));
    }
    const first = await read(await iterator());
    expect(first.Records).toHaveLength(10);
    expect(first.MillisBehindLatest).toBeGreaterThan(0);
    const second = await read(first.NextShardIterator);
    expect(second.Records).toHaveLength(1);
  });

  it("expires an iterator after five minutes", async () => {
    const { clock, iterator, read } = setup();
    const early = await iterator();
    await clock.advance(300_000);
    await read(early);
    await clock.advance(1);
    await expect(read(early)).rejects.toThrow(ExpiredIteratorException);
  });

  it("gives every reply's iterator five minutes of its own", async () => {
    const { clock, iterator, read } = setup();
    let next: string | undefined = await iterator();
    for (let reply = 0; reply < 3; reply++) {
      await clock.advance(300_000);
      next = (await read(next)).NextShardIterator;
    }
    expect(next).toBeDefined();
  });

  it("forgets records when retention is over", async () => {
    const { clock, put, iterator, read } = setup();
    const old = await put("old");
    await clock.advance(12 * 3_600_000);
    await put("young");
    await clock.advance(12 * 3_600_000 + 1);
    const page = await read(await iterator());
    expect(page.Records?.map((record) => record.Data)).toEqual([bytes("young")]);
    const after = await iterator({
      ShardIteratorType: "AFTER_SEQUENCE_NUMBER",
      StartingSequenceNumber: old.SequenceNumber,
    });
    expect((await read(after)).Records).toHaveLength(1);
  });

  it("rejects a trimmed sequence number where that is wanted", async () => {
    const { clock, put, iterator } = setup({ trimmedSequenceNumbers: "reject" });
    const old = await put("old");
    await clock.advance(24 * 3_600_000 + 1);
    await expect(
      iterator({
        ShardIteratorType: "AT_SEQUENCE_NUMBER",
        StartingSequenceNumber: old.SequenceNumber,
      }),
    ).rejects.toThrow(InvalidArgumentException);
  });

  it("tells a sequence number of a stream that was deleted and recreated", async () => {
    const { kinesis, put, iterator, read } = setup();
    const { SequenceNumber } = await put("a");
    const old = await iterator();
    await kinesis.send(new DeleteStreamCommand({ StreamName: "s" }));
    await kinesis.send(new CreateStreamCommand({ StreamName: "s", ShardCount: 1 }));
    await expect(
      iterator({
        ShardIteratorType: "AFTER_SEQUENCE_NUMBER",
        StartingSequenceNumber: SequenceNumber,
      }),
    ).rejects.toThrow("because it did not come from this stream");
    await expect(read(old)).rejects.toThrow(ResourceNotFoundException);
  });

  it("makes tiny and empty pages where they are wanted", async () => {
    const { put, iterator, read } = setup({
      maxRecordsPerPage: 1,
      emptyPagesWhileBehind: 2,
      quotas: false,
    });
    await put("a");
    await put("b");
    const sizes: (number | undefined)[] = [];
    let next = await iterator();
    for (let page = 0; page < 7; page++) {
      const reply = await read(next);
      sizes.push(reply.Records?.length);
      next = reply.NextShardIterator;
    }
    expect(sizes).toEqual([0, 0, 1, 0, 0, 1, 0]);
  });

  it("is not disturbed when the machine's wall clock jumps", async () => {
    const { clock, put, iterator, read } = setup();
    await put("a");
    const early = await iterator();
    clock.jumpWall(48 * 3_600_000);
    expect((await read(early)).Records).toHaveLength(1);
  });
});

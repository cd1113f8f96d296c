import { createHash } from "node:crypto";
import { PutRecordCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { expect } from "vitest";
import type { Scenarios } from "./scenario.ts";
import { MIDDLE, SHARD_0, SHARD_1, WireStream } from "./wire-stream.ts";

/** Records: what is written comes out, in order, from the right shard. */
export const recordScenarios: Scenarios = {
  "a record comes out as it went in": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const Data = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const written = await client.send(
      new PutRecordCommand({ StreamName: stream.name, PartitionKey: "clé 鍵 🔑", Data }),
    );
    expect(written.ShardId).toBe(SHARD_0);
    const { Records } = await stream.get(await stream.iterator());
    expect(Records).toHaveLength(1);
    expect(Records![0]).toMatchObject({
      PartitionKey: "clé 鍵 🔑",
      SequenceNumber: written.SequenceNumber,
    });
    expect(new Uint8Array(Records![0]!.Data!)).toEqual(Data);
    const age = Date.now() - Records![0]!.ApproximateArrivalTimestamp!.getTime();
    expect(Math.abs(age)).toBeLessThan(60_000);
  },

  "an empty record is a record": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const Data = new Uint8Array();
    await client.send(new PutRecordCommand({ StreamName: stream.name, PartitionKey: "k", Data }));
    const { Records } = await stream.get(await stream.iterator());
    expect(Records!.map((record) => record.Data?.length)).toEqual([0]);
  },

  "a partition key goes to the shard of its MD5": async ({ client }) => {
    const stream = await new WireStream(client).create(2);
    for (const key of ["a", "b", "c", "d", "e", "f"]) {
      const hash = BigInt(`0x${createHash("md5").update(key).digest("hex")}`);
      const { ShardId } = await stream.put(key);
      expect(ShardId).toBe(hash < BigInt(MIDDLE) ? SHARD_0 : SHARD_1);
    }
  },

  "an explicit hash key decides instead": async ({ client }) => {
    const stream = await new WireStream(client).create(2);
    expect(await stream.put("key", "0")).toMatchObject({ ShardId: SHARD_0 });
    expect(await stream.put("key", MIDDLE)).toMatchObject({ ShardId: SHARD_1 });
    await expect(stream.put("key", (2n ** 128n).toString())).rejects.toMatchObject({
      name: "InvalidArgumentException",
    });
  },

  "PutRecords answers entry by entry and keeps each key's order": async ({ client }) => {
    const stream = await new WireStream(client).create(2);
    const texts = Array.from({ length: 60 }, (_, index) => `${"abc"[index % 3]}${index}`);
    const reply = await client.send(
      new PutRecordsCommand({
        StreamName: stream.name,
        Records: texts.map((text) => ({ PartitionKey: text[0]!, Data: Buffer.from(text) })),
      }),
    );
    expect(reply.FailedRecordCount).toBe(0);
    expect(reply.Records).toHaveLength(60);
    for (const ShardId of [SHARD_0, SHARD_1]) {
      const read = await stream.read(await stream.iterator({ ShardId }));
      const there = texts.filter((_, index) => reply.Records![index]!.ShardId === ShardId);
      for (const key of "abc") {
        const ofKey = (text: string): boolean => text.startsWith(key);
        expect(read.texts.filter(ofKey)).toEqual(there.filter(ofKey));
      }
    }
  },

  "sequence numbers have 56 digits and increase": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    let previous = 0n;
    for (const text of ["a", "b", "c"]) {
      const { SequenceNumber } = await stream.put(text);
      expect(SequenceNumber).toMatch(/^49\d{54}$/);
      expect(BigInt(SequenceNumber!)).toBeGreaterThan(previous);
      previous = BigInt(SequenceNumber!);
    }
  },

  "a record over 1 MiB is refused": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const Data = new Uint8Array(1024 * 1024 + 1);
    await expect(
      client.send(new PutRecordCommand({ StreamName: stream.name, PartitionKey: "k", Data })),
    ).rejects.toMatchObject({ $fault: "client", $metadata: { httpStatusCode: 400 } });
  },

  "more than 500 records in one call are refused": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const Records = Array.from({ length: 501 }, () => ({
      PartitionKey: "k",
      Data: new Uint8Array(1),
    }));
    await expect(
      client.send(new PutRecordsCommand({ StreamName: stream.name, Records })),
    ).rejects.toMatchObject({ name: "ValidationException" });
  },
};

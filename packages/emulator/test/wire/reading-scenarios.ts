import { CreateStreamCommand, DeleteStreamCommand } from "@aws-sdk/client-kinesis";
import { expect } from "vitest";
import type { Scenarios } from "./scenario.ts";
import { until, untilAfter } from "./until.ts";
import { MIDDLE, SHARD_1, WireStream } from "./wire-stream.ts";

/** Iterators and pages. */
export const readingScenarios: Scenarios = {
  "LATEST sees only what comes after it": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await stream.put("before");
    const latest = await stream.iterator({ ShardIteratorType: "LATEST" });
    await stream.put("after");
    expect((await stream.read(latest)).texts).toEqual(["after"]);
  },

  "AT and AFTER a sequence number": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await stream.put("a");
    const { SequenceNumber: StartingSequenceNumber } = await stream.put("b");
    await stream.put("c");
    const from = async (ShardIteratorType: "AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER") =>
      (await stream.read(await stream.iterator({ ShardIteratorType, StartingSequenceNumber })))
        .texts;
    expect(await from("AT_SEQUENCE_NUMBER")).toEqual(["b", "c"]);
    expect(await from("AFTER_SEQUENCE_NUMBER")).toEqual(["c"]);
  },

  "AFTER the last record waits for the next": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const { SequenceNumber: StartingSequenceNumber } = await stream.put("a");
    const after = await stream.iterator({
      ShardIteratorType: "AFTER_SEQUENCE_NUMBER",
      StartingSequenceNumber,
    });
    await stream.put("b");
    expect((await stream.read(after)).texts).toEqual(["b"]);
  },

  "AT_TIMESTAMP starts with the first record that came then or later": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const { SequenceNumber } = await stream.put("a");
    const { Records } = await stream.get(await stream.iterator());
    expect(Records![0]!.SequenceNumber).toBe(SequenceNumber);
    const arrival = Records![0]!.ApproximateArrivalTimestamp!;
    const later = new Date(arrival.getTime() + 1);
    await untilAfter(later.getTime());
    await stream.put("b");
    const at = async (Timestamp: Date) =>
      (await stream.read(await stream.iterator({ ShardIteratorType: "AT_TIMESTAMP", Timestamp })))
        .texts;
    expect(await at(arrival)).toEqual(["a", "b"]);
    expect(await at(later)).toEqual(["b"]);
  },

  "AT_TIMESTAMP older than the stream is its beginning": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await stream.put("a");
    const iterator = await stream.iterator({
      ShardIteratorType: "AT_TIMESTAMP",
      Timestamp: new Date("2015-01-01T00:00:00Z"),
    });
    expect((await stream.read(iterator)).texts).toEqual(["a"]);
  },

  "AT_TIMESTAMP on an empty shard waits for the first record": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const iterator = await stream.iterator({
      ShardIteratorType: "AT_TIMESTAMP",
      Timestamp: new Date(Date.now() - 1000),
    });
    await stream.put("a");
    expect((await stream.read(iterator)).texts).toEqual(["a"]);
  },

  "AT_TIMESTAMP in the future is refused": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await expect(
      stream.iterator({
        ShardIteratorType: "AT_TIMESTAMP",
        Timestamp: new Date(Date.now() + 3_600_000),
      }),
    ).rejects.toMatchObject({
      name: "InvalidArgumentException",
      message: expect.stringContaining("cannot be greater than the currentTimestampInMillis"),
    });
  },

  "a sequence number of another shard is refused": async ({ client }) => {
    const stream = await new WireStream(client).create(2);
    const { SequenceNumber } = await stream.put("b", MIDDLE);
    await expect(
      stream.iterator({
        ShardIteratorType: "AFTER_SEQUENCE_NUMBER",
        StartingSequenceNumber: SequenceNumber,
      }),
    ).rejects.toMatchObject({
      name: "InvalidArgumentException",
      message: expect.stringContaining(`It encodes ${SHARD_1}`),
    });
  },

  "a sequence number of a stream that was recreated is refused": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const { SequenceNumber } = await stream.put("a");
    await client.send(new DeleteStreamCommand({ StreamName: stream.name }));
    // Sequence numbers tell streams apart by the second of their creation.
    await untilAfter(Math.ceil(Date.now() / 1000) * 1000);
    await until("the stream can be recreated", () =>
      client.send(new CreateStreamCommand({ StreamName: stream.name, ShardCount: 1 })).then(
        () => ({ done: true as const, value: undefined }),
        (state: unknown) => ({ done: false as const, state }),
      ),
    );
    await stream.untilActive();
    await expect(
      stream.iterator({
        ShardIteratorType: "AFTER_SEQUENCE_NUMBER",
        StartingSequenceNumber: SequenceNumber,
      }),
    ).rejects.toMatchObject({
      name: "InvalidArgumentException",
      message: expect.stringContaining("did not come from this stream"),
    });
  },

  "a malformed sequence number is refused": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await expect(
      stream.iterator({
        ShardIteratorType: "AT_SEQUENCE_NUMBER",
        StartingSequenceNumber: "4".repeat(56),
      }),
    ).rejects.toMatchObject({ name: "InvalidArgumentException" });
  },

  "a sequence number with TRIM_HORIZON is refused": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const { SequenceNumber } = await stream.put("a");
    await expect(stream.iterator({ StartingSequenceNumber: SequenceNumber })).rejects.toMatchObject(
      { name: "InvalidArgumentException" },
    );
  },

  "an unknown shard is not found": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await expect(stream.iterator({ ShardId: "shardId-000000000009" })).rejects.toMatchObject({
      name: "ResourceNotFoundException",
    });
  },

  "a made-up iterator is refused": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await expect(stream.get("made-up")).rejects.toMatchObject({
      name: "InvalidArgumentException",
    });
  },

  "Limit bounds a page, and the next page goes on": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    for (const text of ["a", "b", "c"]) await stream.put(text);
    const first = await stream.get(await stream.iterator(), 2);
    expect(first.Records).toHaveLength(2);
    const second = await stream.get(first.NextShardIterator, 2);
    expect(second.Records).toHaveLength(1);
    expect(second.NextShardIterator).toBeDefined();
  },

  "an iterator can be used twice": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await stream.put("a");
    const iterator = await stream.iterator();
    expect((await stream.get(iterator)).Records).toHaveLength(1);
    expect((await stream.get(iterator)).Records).toHaveLength(1);
  },

  "a Limit over 10,000 is refused": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await expect(stream.get(await stream.iterator(), 10_001)).rejects.toMatchObject({
      $fault: "client",
    });
  },

  "MillisBehindLatest is above zero until the tip": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    for (const text of ["a", "b"]) await stream.put(text);
    await untilAfter(Date.now() + 1);
    const first = await stream.get(await stream.iterator(), 1);
    expect(first.MillisBehindLatest).toBeGreaterThan(0);
    const second = await stream.get(first.NextShardIterator, 1);
    expect(second.MillisBehindLatest).toBe(0);
  },
};

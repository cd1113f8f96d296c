import {
  CreateStreamCommand,
  DecreaseStreamRetentionPeriodCommand,
  DeleteStreamCommand,
  DescribeStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  IncreaseStreamRetentionPeriodCommand,
  ListShardsCommand,
  ListStreamsCommand,
  PutRecordCommand,
} from "@aws-sdk/client-kinesis";
import { expect } from "vitest";
import type { Scenarios } from "./scenario.ts";
import { until } from "./until.ts";
import { WireStream } from "./wire-stream.ts";

/** Streams: their life, their description, their names. */
export const streamScenarios: Scenarios = {
  "a new stream is described": async ({ client }) => {
    const stream = await new WireStream(client).create(3);
    const summary = await stream.summary();
    expect(summary).toMatchObject({
      StreamName: stream.name,
      StreamARN: expect.stringMatching(new RegExp(`^arn:aws:kinesis:.*:stream/${stream.name}$`)),
      StreamStatus: "ACTIVE",
      OpenShardCount: 3,
      RetentionPeriodHours: 24,
      EncryptionType: "NONE",
    });
    const age = Date.now() - summary.StreamCreationTimestamp!.getTime();
    expect(Math.abs(age)).toBeLessThan(60_000);
  },

  "the shards of a new stream share out all hash keys": async ({ client }) => {
    const stream = await new WireStream(client).create(3);
    let next = 0n;
    for (const { HashKeyRange: range, SequenceNumberRange: numbers } of await stream.shards()) {
      expect(BigInt(range!.StartingHashKey!)).toBe(next);
      next = BigInt(range!.EndingHashKey!) + 1n;
      expect(numbers!.StartingSequenceNumber).toMatch(/^49\d{54}$/);
      expect(numbers!.EndingSequenceNumber).toBeUndefined();
    }
    expect(next).toBe(2n ** 128n);
  },

  "DescribeStream pages its shards": async ({ client }) => {
    const { name } = await new WireStream(client).create(3);
    const first = await client.send(new DescribeStreamCommand({ StreamName: name, Limit: 2 }));
    expect(first.StreamDescription).toMatchObject({ HasMoreShards: true });
    expect(first.StreamDescription!.Shards).toHaveLength(2);
    const second = await client.send(
      new DescribeStreamCommand({
        StreamName: name,
        ExclusiveStartShardId: first.StreamDescription!.Shards![1]!.ShardId,
      }),
    );
    expect(second.StreamDescription).toMatchObject({ HasMoreShards: false });
    expect(second.StreamDescription!.Shards).toHaveLength(1);
  },

  "ListStreams pages by name": async ({ client }) => {
    const { name } = await new WireStream(client).create(1);
    const names: string[] = [];
    for (let more = true; more;) {
      const page = await client.send(
        new ListStreamsCommand({ Limit: 1, ExclusiveStartStreamName: names.at(-1) }),
      );
      names.push(...page.StreamNames!);
      more = page.HasMoreStreams!;
    }
    expect(names).toContain(name);
    expect(names).toEqual(names.toSorted());
  },

  "a stream cannot be created twice": async ({ client }) => {
    const { name } = await new WireStream(client).create(1);
    await expect(
      client.send(new CreateStreamCommand({ StreamName: name, ShardCount: 1 })),
    ).rejects.toMatchObject({ name: "ResourceInUseException" });
  },

  "a deleted stream is gone": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    await client.send(new DeleteStreamCommand({ StreamName: stream.name }));
    const error = await until("the stream is gone", () =>
      stream.summary().then(
        (state) => ({ done: false as const, state }),
        (value: unknown) => ({ done: true as const, value }),
      ),
    );
    expect(error).toMatchObject({ name: "ResourceNotFoundException" });
  },

  "an unknown stream is not found by any operation": async ({ client }) => {
    const StreamName = "no-such-stream";
    const Data = new Uint8Array(1);
    const replies = await Promise.allSettled([
      client.send(new DescribeStreamSummaryCommand({ StreamName })),
      client.send(new ListShardsCommand({ StreamName })),
      client.send(new PutRecordCommand({ StreamName, PartitionKey: "k", Data })),
      new WireStream(client).iterator({ StreamName }),
    ]);
    const found = replies.map((reply) =>
      reply.status === "rejected" ? (reply.reason as Error).name : "it was found",
    );
    expect(new Set(found)).toEqual(new Set(["ResourceNotFoundException"]));
  },

  "a bad stream name is refused": async ({ client }) => {
    await expect(
      client.send(new CreateStreamCommand({ StreamName: "no spaces", ShardCount: 1 })),
    ).rejects.toMatchObject({ name: "ValidationException" });
  },

  "a stream can be named by its ARN": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const { StreamARN } = await stream.summary();
    const Data = Buffer.from("by ARN");
    await client.send(new PutRecordCommand({ StreamARN, PartitionKey: "k", Data }));
    const { Shards } = await client.send(new ListShardsCommand({ StreamARN }));
    const ShardIterator = await stream.iterator({
      StreamName: undefined,
      StreamARN,
      ShardId: Shards![0]!.ShardId,
    });
    const { Records } = await client.send(new GetRecordsCommand({ ShardIterator, StreamARN }));
    expect(Buffer.from(Records![0]!.Data!).toString()).toBe("by ARN");
  },

  "GetRecords refuses the ARN of another stream": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const other = await new WireStream(client).create(1);
    const { StreamARN } = await other.summary();
    const ShardIterator = await stream.iterator();
    await expect(
      client.send(new GetRecordsCommand({ ShardIterator, StreamARN })),
    ).rejects.toMatchObject({ $fault: "client" });
  },

  "retention grows and shrinks, not below a day": async ({ client }) => {
    const stream = await new WireStream(client).create(1);
    const StreamName = stream.name;
    await client.send(
      new IncreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 48 }),
    );
    expect((await stream.summary()).RetentionPeriodHours).toBe(48);
    await client.send(
      new DecreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 24 }),
    );
    expect((await stream.summary()).RetentionPeriodHours).toBe(24);
    await expect(
      client.send(
        new DecreaseStreamRetentionPeriodCommand({ StreamName, RetentionPeriodHours: 23 }),
      ),
    ).rejects.toMatchObject({ name: "InvalidArgumentException" });
  },

  "replies carry a request id and the server's date": async ({ client, url }) => {
    const reply = await client.send(new ListStreamsCommand({}));
    expect(reply.$metadata.requestId).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
    const response = await post(url, "ListStreams");
    await response.arrayBuffer();
    const date = Date.parse(response.headers.get("date") ?? "");
    expect(Math.abs(Date.now() - date)).toBeLessThan(60_000);
  },

  "an unknown operation is refused": async ({ url }) => {
    const response = await post(url, "NoSuchOperation");
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ __type: "UnknownOperationException" });
  },
};

/** An empty request without the SDK, as good as signed. */
function post(url: string, operation: string): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: {
      authorization:
        "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/kinesis/aws4_request, " +
        "SignedHeaders=host, Signature=0",
      "content-type": "application/x-amz-json-1.1",
      "x-amz-date": "20260101T000000Z",
      "x-amz-target": `Kinesis_20131202.${operation}`,
    },
    body: "{}",
  });
}

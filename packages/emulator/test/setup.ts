import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordCommand,
  type GetShardIteratorCommandInput,
} from "@aws-sdk/client-kinesis";
import { FakeClock, FakeKinesis, type FakeKinesisOptions } from "../src/index.ts";

export const SHARD = "shardId-000000000000";
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A fake with one stream `s` of one shard, its clock, and the calls that many tests make. */
export function setup(options: Omit<FakeKinesisOptions, "clock"> = {}) {
  const clock = new FakeClock();
  const kinesis = new FakeKinesis({ clock, streams: { s: 1 }, ...options });
  const put = (text: string) =>
    kinesis.send(new PutRecordCommand({ StreamName: "s", PartitionKey: "k", Data: bytes(text) }));
  const iterator = async (input: Partial<GetShardIteratorCommandInput> = {}) => {
    const { ShardIterator } = await kinesis.send(
      new GetShardIteratorCommand({
        StreamName: "s",
        ShardId: SHARD,
        ShardIteratorType: "TRIM_HORIZON",
        ...input,
      }),
    );
    return ShardIterator;
  };
  const read = (ShardIterator: string | undefined, Limit?: number) =>
    kinesis.send(new GetRecordsCommand({ ShardIterator, Limit }));
  return { clock, kinesis, put, iterator, read };
}

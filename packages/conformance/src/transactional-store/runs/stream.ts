import { PutRecordsCommand } from "@aws-sdk/client-kinesis";
import type { ConsumerOptions, Position } from "@kc/core";
import { RECORDS, SHARDS } from "./plan.ts";

/** An in-memory stream that is filled with all records. */
export interface FilledStream {
  readonly name: string;
  readonly client: NonNullable<ConsumerOptions["client"]>;
  readonly shards: readonly {
    readonly id: string;
    readonly records: readonly { readonly text: string }[];
    readonly last: Position;
  }[];
  /** A position after all records. */
  readonly next: Position;
}

export async function fillStream(shardCount = SHARDS): Promise<FilledStream> {
  // Loaded lazily, because the other suites do not need it.
  const { FakeKinesis } = await import("@kc/emulator");
  const name = "orders";
  const client = new FakeKinesis({ streams: { [name]: shardCount }, quotas: false });
  const shards: FilledStream["shards"][number][] = [];
  for (let shard = 0; shard < shardCount; shard += 1) {
    const ExplicitHashKey = String((BigInt(shard) << 128n) / BigInt(shardCount));
    const records = Array.from({ length: RECORDS }, (_, n) => ({ text: `${shard}-${n}` }));
    const Records = records.map(({ text }) => ({
      Data: Buffer.from(text),
      PartitionKey: "any",
      ExplicitHashKey,
    }));
    const put = await client.send(new PutRecordsCommand({ StreamName: name, Records }));
    const { ShardId, SequenceNumber } = put.Records!.at(-1)!;
    shards.push({ id: ShardId!, records, last: { sequenceNumber: SequenceNumber! } });
  }
  const numbers = shards.map(({ last }) => BigInt(last.sequenceNumber));
  const most = numbers.reduce((a, b) => (a > b ? a : b));
  return { name, client, shards, next: { sequenceNumber: String(most + 1n) } };
}

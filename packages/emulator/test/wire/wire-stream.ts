import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  type GetRecordsCommandOutput,
  GetShardIteratorCommand,
  type GetShardIteratorCommandInput,
  type KinesisClient,
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordCommand,
  type PutRecordCommandOutput,
  type Shard,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import { until } from "./until.ts";

export const SHARD_0 = "shardId-000000000000";
export const SHARD_1 = "shardId-000000000001";
export const MIDDLE: string = (2n ** 127n).toString();

let streams = 0;

/** A stream of a scenario's own, and the calls that many scenarios make. */
export class WireStream {
  readonly client: KinesisClient;
  readonly name: string = `stream-${++streams}`;

  constructor(client: KinesisClient) {
    this.client = client;
  }

  async create(ShardCount: number): Promise<this> {
    await this.client.send(new CreateStreamCommand({ StreamName: this.name, ShardCount }));
    await this.untilActive();
    return this;
  }

  async summary() {
    const command = new DescribeStreamSummaryCommand({ StreamName: this.name });
    return (await this.client.send(command)).StreamDescriptionSummary!;
  }

  async untilActive(): Promise<void> {
    await until(`${this.name} is ACTIVE`, async () => {
      const state = (await this.summary()).StreamStatus;
      return state === "ACTIVE" ? { done: true, value: undefined } : { done: false, state };
    });
  }

  async shards(): Promise<Shard[]> {
    return (await this.client.send(new ListShardsCommand({ StreamName: this.name }))).Shards!;
  }

  put(text: string, explicitHashKey?: string): Promise<PutRecordCommandOutput> {
    return this.client.send(
      new PutRecordCommand({
        StreamName: this.name,
        PartitionKey: text,
        Data: Buffer.from(text),
        ...(explicitHashKey === undefined ? {} : { ExplicitHashKey: explicitHashKey }),
      }),
    );
  }

  async iterator(input: Partial<GetShardIteratorCommandInput> = {}): Promise<string> {
    const { ShardIterator } = await this.client.send(
      new GetShardIteratorCommand({
        StreamName: this.name,
        ShardId: SHARD_0,
        ShardIteratorType: "TRIM_HORIZON",
        ...input,
      }),
    );
    return ShardIterator!;
  }

  get(ShardIterator: string | undefined, Limit?: number): Promise<GetRecordsCommandOutput> {
    return this.client.send(new GetRecordsCommand({ ShardIterator, ...(Limit ? { Limit } : {}) }));
  }

  /** The records' texts from an iterator on, up to the tip or the shard's end, and the last page. */
  async read(iterator: string): Promise<{ texts: string[]; last: GetRecordsCommandOutput }> {
    const texts: string[] = [];
    let empty = 0;
    for (let next: string | undefined = iterator; ;) {
      const last = await this.get(next);
      for (const record of last.Records ?? []) texts.push(Buffer.from(record.Data!).toString());
      empty = last.Records?.length ? 0 : empty + 1;
      next = last.NextShardIterator;
      // A page at the tip may be the last one of a shard that is closed: one more look.
      if (next === undefined || (empty >= 2 && last.MillisBehindLatest === 0)) {
        return { texts, last };
      }
    }
  }

  async split(ShardToSplit: string, NewStartingHashKey: string): Promise<void> {
    await this.client.send(
      new SplitShardCommand({ StreamName: this.name, ShardToSplit, NewStartingHashKey }),
    );
    await this.untilActive();
  }

  async merge(ShardToMerge: string, AdjacentShardToMerge: string): Promise<void> {
    await this.client.send(
      new MergeShardsCommand({ StreamName: this.name, ShardToMerge, AdjacentShardToMerge }),
    );
    await this.untilActive();
  }
}

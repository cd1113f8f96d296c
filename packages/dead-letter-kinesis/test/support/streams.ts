import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListShardsCommand,
  type _Record,
} from "@aws-sdk/client-kinesis";
import type { FakeKinesis } from "@kc/emulator";

/** Every record of a stream, by a client that no test breaks. */
export async function recordsOf(
  kinesis: FakeKinesis,
  StreamName: string,
): Promise<readonly _Record[]> {
  const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamName }));
  const records: _Record[] = [];
  for (const { ShardId } of Shards) {
    const start = { StreamName, ShardId, ShardIteratorType: "TRIM_HORIZON" } as const;
    let { ShardIterator } = await kinesis.send(new GetShardIteratorCommand(start));
    for (let behind = true; behind;) {
      const page = await kinesis.send(new GetRecordsCommand({ ShardIterator }));
      records.push(...(page.Records ?? []));
      ShardIterator = page.NextShardIterator;
      behind = (page.MillisBehindLatest ?? 0) > 0;
    }
  }
  return records;
}

import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { GetRecordsCommand, GetShardIteratorCommand, KinesisClient } from "@aws-sdk/client-kinesis";
import { Consumer } from "@kc/core";
import { compare, type Comparison } from "./rounds.ts";

const RECORDS = 40_000;
const PAGE = 2000;
const ROUNDS = 7;
const StreamName = "bench";

/** The whole consumer, with a handler that does nothing, against a loop over the SDK's GetRecords. */
export async function benchRead(): Promise<Comparison & { records: number; page: number }> {
  const server = fork(fileURLToPath(new URL("./server.js", import.meta.url)), [String(RECORDS)]);
  const [{ url }] = (await once(server, "message")) as [{ url: string }];
  const client = new KinesisClient({
    endpoint: url,
    region: "us-east-1",
    credentials: { accessKeyId: "bench", secretAccessKey: "bench" },
  });
  try {
    const comparison = await compare(
      { consumer: () => consumer(client), handWrittenLoop: () => handWrittenLoop(client) },
      ROUNDS,
    );
    return { records: RECORDS, page: PAGE, ...comparison };
  } finally {
    client.destroy();
    server.disconnect();
  }
}

async function consumer(client: KinesisClient): Promise<{ records: number }> {
  const stop = new AbortController();
  let records = 0;
  await new Consumer({
    stream: StreamName,
    client,
    start: "TRIM_HORIZON",
    immediateRescan: true,
    maxRecords: PAGE,
  }).scan(
    () => {
      records += 1;
      if (records === RECORDS) stop.abort();
    },
    { signal: stop.signal },
  );
  return { records };
}

async function handWrittenLoop(client: KinesisClient): Promise<{ records: number }> {
  let records = 0;
  const ShardId = "shardId-000000000000";
  let { ShardIterator } = await client.send(
    new GetShardIteratorCommand({ StreamName, ShardId, ShardIteratorType: "TRIM_HORIZON" }),
  );
  while (records < RECORDS) {
    const { Records = [], NextShardIterator } = await client.send(
      new GetRecordsCommand({ ShardIterator, Limit: PAGE }),
    );
    records += Records.length;
    ShardIterator = NextShardIterator;
  }
  return { records };
}

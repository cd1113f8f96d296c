import { ConfigError, isSequenceNumber } from "@kc/core/adapter";

/** The event that the event source mapping of a Kinesis stream sends, with the members that are read here. */
export interface KinesisEvent {
  /** The records in the order of their shard. Empty at the end of a tumbling window. */
  readonly Records: readonly KinesisEventRecord[];
}

export interface KinesisEventRecord {
  /** `SHARD:SEQUENCE`, such as `shardId-000000000006:4959…`. */
  readonly eventID: string;
  /** The stream's ARN, or with enhanced fan-out that of its consumer. */
  readonly eventSourceARN: string;
  readonly kinesis: KinesisPayload;
}

export interface KinesisPayload {
  readonly sequenceNumber: string;
  /** In base64. */
  readonly data: string;
  readonly partitionKey?: string;
  /** In seconds, with a fraction. */
  readonly approximateArrivalTimestamp: number;
}

/** Lambda's context, with the only member that is read here. */
export interface LambdaContext {
  /** Milliseconds until the function's timeout. */
  getRemainingTimeInMillis(): number;
}

/**
 * The function's response. The mapping reads it only if its `FunctionResponseTypes` include `ReportBatchItemFailures`.
 * Without that, every response means that all records are done.
 */
export interface LambdaAnswer {
  /** For each shard of the event, its first record that is not done. Empty if all records are done. */
  batchItemFailures: { itemIdentifier: string }[];
}

/** @param context without it, for instance in a test, there is no deadline */
export type LambdaHandler = (event: KinesisEvent, context?: LambdaContext) => Promise<LambdaAnswer>;

/** The records of one shard in an event, in the form of the SDK. */
export interface EventShard {
  readonly streamARN: string;
  readonly streamName: string;
  readonly shardId: string;
  readonly records: readonly EventRecord[];
}

export interface EventRecord {
  readonly SequenceNumber: string;
  readonly PartitionKey: string | undefined;
  readonly Data: Uint8Array;
  readonly ApproximateArrivalTimestamp: Date;
}

const EVENT_ID = /^([^:]+):/;
const SOURCE_ARN = /^(arn:[^:]+:kinesis:[^:]*:[^:]*:stream\/([^/]+))(?:\/consumer\/.+)?$/;

/**
 * The records of an event, grouped by shard, in order. A mapping sends the records of one shard; other senders may send
 * those of several.
 * @throws ConfigError if it is not an event of a Kinesis stream
 */
export function shardsOf(event: KinesisEvent): readonly EventShard[] {
  const records: unknown = (event as Partial<KinesisEvent> | null | undefined)?.Records;
  if (!Array.isArray(records)) throw notKinesis("it has no list of Records");
  const shards = new Map<string, EventShard & { readonly records: EventRecord[] }>();
  for (const record of records as readonly KinesisEventRecord[]) {
    const read = recordOf(record);
    const [, shardId] = EVENT_ID.exec(record.eventID) ?? [];
    const [, streamARN, streamName] = SOURCE_ARN.exec(record.eventSourceARN) ?? [];
    if (shardId === undefined) throw notKinesis("a record has no eventID with a shard");
    if (streamARN === undefined || streamName === undefined) {
      throw notKinesis("a record has no stream's ARN as eventSourceARN");
    }
    const id = `${streamARN} ${shardId}`;
    const shard = shards.get(id);
    if (shard === undefined) shards.set(id, { streamARN, streamName, shardId, records: [read] });
    else shard.records.push(read);
  }
  return [...shards.values()];
}

function recordOf(record: KinesisEventRecord): EventRecord {
  const { kinesis } = (record ?? {}) as Partial<KinesisEventRecord>;
  const { sequenceNumber, partitionKey, data, approximateArrivalTimestamp } = (kinesis ??
    {}) as Partial<KinesisPayload>;
  if (typeof sequenceNumber !== "string" || !isSequenceNumber(sequenceNumber)) {
    throw notKinesis("a record has no kinesis.sequenceNumber");
  }
  if (typeof data !== "string") throw notKinesis("a record has no kinesis.data");
  if (typeof approximateArrivalTimestamp !== "number") {
    throw notKinesis("a record has no kinesis.approximateArrivalTimestamp");
  }
  return {
    SequenceNumber: sequenceNumber,
    PartitionKey: partitionKey,
    // A copy: a Buffer may share memory with Node's pool, which a record's data must not.
    Data: new Uint8Array(Buffer.from(data, "base64")),
    ApproximateArrivalTimestamp: new Date(Math.round(1000 * approximateArrivalTimestamp)),
  };
}

/** The event is not quoted: it may contain secrets. */
function notKinesis(detail: string): ConfigError {
  return new ConfigError(
    "event",
    `it is no event of a Kinesis stream: ${detail}. Is the function's event source a Kinesis stream?`,
  );
}

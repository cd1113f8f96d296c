import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import {
  checkpointAt,
  isSequenceNumber,
  shardEndAt,
  StoreError,
  type ApplicationRow,
  type Checkpoint,
  type Fence,
  type StartPosition,
} from "@kc/core";
import {
  aheadColumn,
  applicationColumns,
  checkpointInside,
  NO_NUMBER,
  sharedNumber,
  withAhead,
} from "@kc/core/adapter";

export type Item = Readonly<Record<string, AttributeValue>>;

/** An item's sort key: a shard's id, or the name of one of our own items. */
export const sortKeyOf = (item: Item): string => item["shard_id"]?.S ?? "";

/** The state in a shard's item. */
export interface ShardState {
  readonly checkpoint: Checkpoint | undefined;
  /**
   * Who may write: the text of a fence, or `FREE`. `undefined` if our attributes are missing, because Go's PutItem wiped
   * them or they were never written. Then only the lease's own item tells.
   */
  readonly writer: string | undefined;
}

export const FREE = "free";

/** The text of a fence in a shard's item; `FREE` without a fence. */
export function writerOf(fence: Fence | undefined): string {
  return fence === undefined ? FREE : `${fence.epoch}:${fence.owner}`;
}

/** A shard's end. As text, it sorts after every digit. */
const END = "~";
/** The sub-sequence number of a whole record. It sorts after every digit too. */
const WHOLE = "~";
const ORDERED = /^(\d{3}):(\d+)\.(?:(\d{16})|~)$/;

/**
 * A checkpoint as a text that sorts in core's order of checkpoints: the number's length, the number, the sub-sequence
 * number. `056:4959…898.0000000000000007`
 */
export function orderedText(checkpoint: Checkpoint): string {
  if (checkpoint.kind === "shard-end") return END;
  const { sequenceNumber: number, subSequenceNumber: sub } = checkpoint;
  const length = String(number.length).padStart(3, "0");
  return `${length}:${number}.${sub === undefined ? WHOLE : String(sub).padStart(16, "0")}`;
}

/**
 * True if the position lies inside an aggregate. Go's attribute then has the last whole record, and our attributes
 * belong to it by `kc_whole` instead of `kc_at`. So Go, and earlier versions of this package, read it as the position of
 * that record.
 */
export function isInside(checkpoint: Checkpoint): boolean {
  return checkpoint.kind === "position" && checkpoint.subSequenceNumber !== undefined;
}

/** The attributes of a shard's item without an owner, except for its key. */
export function shardItem(checkpoint: Checkpoint): Item {
  const number = { S: sharedNumber(checkpoint) ?? NO_NUMBER };
  const ahead = aheadColumn(checkpoint);
  return {
    sequence_number: number,
    [isInside(checkpoint) ? "kc_whole" : "kc_at"]: number,
    kc_checkpoint: { S: orderedText(checkpoint) },
    kc_writer: { S: FREE },
    ...(ahead === undefined ? {} : { kc_ahead: { S: ahead } }),
  };
}

/**
 * Reads a shard's item. Go's attribute by itself is a position. Ours are valid only while `kc_at`, or `kc_whole`, equals
 * `sequence_number`.
 * @throws StoreError STORE_CORRUPT if another program wrote a value that is not a checkpoint
 */
export function shardStateOf(item: Item | undefined): ShardState {
  const sequenceNumber = item?.["sequence_number"]?.S;
  if (item === undefined || sequenceNumber === undefined) {
    if (item?.["sequence_number"] !== undefined) throw corrupt(item);
    return { checkpoint: undefined, writer: undefined };
  }
  if (!isSequenceNumber(sequenceNumber)) throw corrupt(item);
  const ordered = item["kc_checkpoint"]?.S;
  const writer = item["kc_writer"]?.S;
  const at = item["kc_at"]?.S;
  const belongsTo = at ?? item["kc_whole"]?.S;
  if (belongsTo !== sequenceNumber || ordered === undefined || writer === undefined) {
    return { checkpoint: checkpointAt({ sequenceNumber }), writer: undefined };
  }
  const checkpoint =
    at === undefined
      ? insideOf(ordered, sequenceNumber, item)
      : checkpointOf(ordered, sequenceNumber, item);
  return { checkpoint: withAhead(checkpoint, item["kc_ahead"]?.S), writer };
}

function checkpointOf(ordered: string, sequenceNumber: string, item: Item): Checkpoint {
  if (ordered === END) return shardEndAt(sequenceNumber === NO_NUMBER ? undefined : sequenceNumber);
  const [, , number, sub] = ORDERED.exec(ordered) ?? [];
  if (number !== sequenceNumber) throw corrupt(item);
  return checkpointAt(
    sub === undefined ? { sequenceNumber } : { sequenceNumber, subSequenceNumber: Number(sub) },
  );
}

/** @param whole the last whole record's number */
function insideOf(ordered: string, whole: string, item: Item): Checkpoint {
  const [, , sequenceNumber, sub] = ORDERED.exec(ordered) ?? [];
  if (sequenceNumber === undefined || sub === undefined) throw corrupt(item);
  return checkpointInside({ sequenceNumber, subSequenceNumber: Number(sub) }, whole);
}

function corrupt(item: Item): StoreError {
  const [shard, number, checkpoint] = ["shard_id", "sequence_number", "kc_checkpoint"].map((name) =>
    JSON.stringify(item[name]),
  );
  return new StoreError(
    "STORE_CORRUPT",
    `the item of ${shard} holds ${number} as sequence_number and ${checkpoint} as kc_checkpoint, ` +
      `which is no checkpoint: reset that shard`,
  );
}

/** The attributes of an application row, except for its key: its columns that are not empty. */
export function applicationItem(row: ApplicationRow): Item {
  const item: Record<string, AttributeValue> = {};
  for (const [name, value] of Object.entries(applicationColumns(row))) {
    if (typeof value === "string") item[`kc_${name}`] = { S: value };
    else if (typeof value === "number") item[`kc_${name}`] = { N: String(value) };
    else if (typeof value === "boolean") item[`kc_${name}`] = { BOOL: value };
  }
  return item;
}

/** @throws StoreError STORE_CORRUPT if it lacks a required attribute */
export function applicationOf(item: Item): ApplicationRow {
  const [application, streamName] = [item["kc_application"]?.S, item["kc_stream_name"]?.S];
  const startedAt = dateOf(item["kc_started_at"]);
  if (application === undefined || streamName === undefined || startedAt === undefined) {
    throw new StoreError("STORE_CORRUPT", "the item kc#application is not one of ours: delete it");
  }
  const created = dateOf(item["kc_stream_created_at"]);
  return {
    application,
    streamName,
    streamARN: item["kc_stream_arn"]?.S ?? "",
    ...(created === undefined ? {} : { streamCreationTimestamp: created }),
    start: startOf(item),
    startedAt,
    migrated: item["kc_migrated"]?.BOOL === true,
  };
}

function startOf(item: Item): StartPosition {
  const start = item["kc_start"]?.S;
  if (start === "LATEST" || start === "TRIM_HORIZON") return start;
  const timestamp = dateOf(item["kc_start_timestamp"]);
  if (timestamp !== undefined) return { timestamp };
  throw new StoreError("STORE_CORRUPT", "the item kc#application has no start: delete it");
}

function dateOf(value: AttributeValue | undefined): Date | undefined {
  return value?.N === undefined ? undefined : new Date(Number(value.N));
}

import {
  checkpointAt,
  isSequenceNumber,
  shardEndAt,
  StoreError,
  type ApplicationRow,
  type Checkpoint,
  type StartPosition,
} from "@kc/core";
import {
  aheadColumn,
  checkpointInside,
  NO_NUMBER,
  sharedNumber,
  withAhead,
} from "@kc/core/adapter";
import { textsOf } from "./replies.ts";

/**
 * A checkpoint as arguments of a script: sequence number, sub-sequence number, '1' for a shard's end, `ahead`, and for a
 * position inside an aggregate the value of Go's key. All are empty without a checkpoint.
 */
export function checkpointArguments(checkpoint: Checkpoint | undefined): readonly string[] {
  if (checkpoint === undefined) return ["", "", "", "", ""];
  if (checkpoint.kind === "shard-end") return [checkpoint.sequenceNumber ?? "", "", "1", "", ""];
  const { sequenceNumber, subSequenceNumber = "" } = checkpoint;
  const whole = subSequenceNumber === "" ? "" : (sharedNumber(checkpoint) ?? NO_NUMBER);
  return [sequenceNumber, String(subSequenceNumber), "", aheadColumn(checkpoint) ?? "", whole];
}

/** A script's reply about a shard. */
export interface ShardReply {
  readonly outcome: string;
  readonly checkpoint: Checkpoint | undefined;
  /** 0 if the shard was never held. */
  readonly epoch: number;
  /** `undefined` if the lease is free. */
  readonly owner: string | undefined;
  /** True if Go's key has another number than the one that a store of ours wrote. */
  readonly byGo: boolean;
  /** The name of the removal that removed the shard, while its epoch is kept; `undefined` if it was not removed. */
  readonly gone: string | undefined;
}

/** @throws StoreError STORE_CORRUPT if another program wrote a value that is not a checkpoint */
export function shardOf(shardId: string, reply: unknown): ShardReply {
  const [outcome = "", number = "", sub, end, epoch, owner, byGo, gone, ahead, whole] =
    textsOf(reply);
  if (number !== "" && !isSequenceNumber(number)) {
    throw new StoreError(
      "STORE_CORRUPT",
      `${shardId}: its key holds ${JSON.stringify(number)}, no sequence number: reset that shard`,
      { shardId },
    );
  }
  return {
    outcome,
    checkpoint:
      number === "" ? undefined : withAhead(checkpointOf(number, sub, end === "1", whole), ahead),
    epoch: Number(epoch),
    owner: owner === "" ? undefined : owner,
    byGo: byGo === "1",
    gone: gone === "" ? undefined : gone,
  };
}

function checkpointOf(
  sequenceNumber: string,
  sub: string | undefined,
  ended: boolean,
  whole: string | undefined,
): Checkpoint {
  if (ended) return shardEndAt(sequenceNumber === NO_NUMBER ? undefined : sequenceNumber);
  if (!sub) return checkpointAt({ sequenceNumber });
  const position = { sequenceNumber, subSequenceNumber: Number(sub) };
  // A position that an earlier version wrote has no `whole`.
  return checkpointInside(position, whole || NO_NUMBER);
}

/** The version of the row's JSON text. */
const VERSION = 1;

type RowText = Omit<ApplicationRow, "streamCreationTimestamp" | "start" | "startedAt"> & {
  readonly version: number;
  readonly streamCreationTimestamp?: string;
  readonly start: string | { readonly timestamp: string };
  readonly startedAt: string;
};

export function applicationText(row: ApplicationRow): string {
  return JSON.stringify({ version: VERSION, ...row });
}

/** @throws StoreError if the text is not one of ours, or has a newer version */
export function applicationOf(text: string): ApplicationRow {
  const { version, application, streamName, streamARN, migrated, ...times } = parse(text);
  if (version > VERSION) {
    throw new StoreError(
      "STORE_SCHEMA",
      `the application row is of version ${version}, and this @kc/store-redis knows up to ` +
        `${VERSION}: upgrade it`,
    );
  }
  const created = times.streamCreationTimestamp;
  return {
    application,
    streamName,
    streamARN,
    ...(created === undefined ? {} : { streamCreationTimestamp: new Date(created) }),
    start: startOf(times.start),
    startedAt: new Date(times.startedAt),
    migrated,
  };
}

function startOf(start: RowText["start"]): StartPosition {
  if (typeof start === "object") return { timestamp: new Date(start.timestamp) };
  return start === "TRIM_HORIZON" ? start : "LATEST";
}

function parse(text: string): RowText {
  try {
    const row = JSON.parse(text) as RowText | null;
    if (typeof row?.version === "number") return row;
  } catch (cause) {
    throw corrupt(text, cause);
  }
  throw corrupt(text);
}

function corrupt(text: string, cause?: unknown): StoreError {
  return new StoreError("STORE_CORRUPT", `the application row is not one of ours: ${text}`, {
    cause,
  });
}

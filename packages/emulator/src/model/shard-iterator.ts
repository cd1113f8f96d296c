import { serviceError } from "../errors.ts";
import { formatToken, parseToken } from "./token.ts";

/** How long an iterator is valid, in milliseconds. */
const LIFETIME_MS = 300_000;

/** The content of an iterator. */
export interface ShardIterator {
  readonly streamName: string;
  readonly incarnation: number;
  readonly shardId: string;
  /** The ordinal of the next record to read. */
  readonly position: number;
  /** Number of empty pages left before the next records. */
  readonly emptyPages: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

export function formatShardIterator(iterator: ShardIterator): string {
  return formatToken([
    iterator.streamName,
    iterator.incarnation,
    iterator.shardId,
    iterator.position,
    iterator.emptyPages,
    iterator.createdAt,
  ]);
}

/** @throws InvalidArgumentException if the text is no iterator; ExpiredIteratorException after 5 minutes */
export function parseShardIterator(text: string, now: number): ShardIterator {
  const fields = parseToken(text, ["text", "count", "text", "count", "count", "count"]);
  if (fields === undefined)
    throw serviceError("InvalidArgumentException", "Invalid ShardIterator.");
  const [streamName, incarnation, shardId, position, emptyPages, createdAt] = fields;
  if (now - createdAt > LIFETIME_MS) {
    throw serviceError(
      "ExpiredIteratorException",
      `Iterator expired. The iterator was created at time ${utc(createdAt)} while right now it is ` +
        `${utc(now)} which is further in the future than the tolerated delay of ` +
        `${LIFETIME_MS} milliseconds.`,
    );
  }
  return { streamName, incarnation, shardId, position, emptyPages, createdAt };
}

/** Formats a time as the service does: `Thu Jan 22 01:22:02 UTC 2015`. */
function utc(time: number): string {
  const [weekday, day, month, year, clock] = new Date(time).toUTCString().split(" ");
  return `${weekday?.slice(0, 3)} ${month} ${day} ${clock} UTC ${year}`;
}

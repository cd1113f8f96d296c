import { serviceError } from "../errors.ts";
import { formatToken, parseToken } from "./token.ts";

/** How long an iterator can be used, in milliseconds. */
const LIFETIME_MS = 300_000;

/** What an iterator means. */
export interface ShardIterator {
  readonly streamName: string;
  readonly incarnation: number;
  readonly shardId: string;
  /** The ordinal of the next record to read. */
  readonly position: number;
  /** How many empty pages are still to come before the next records. */
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

/** Throws InvalidArgumentException for what is no iterator, ExpiredIteratorException after 5 min. */
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

/** `Thu Jan 22 01:22:02 UTC 2015`, as the service writes it. */
function utc(time: number): string {
  const [weekday, day, month, year, clock] = new Date(time).toUTCString().split(" ");
  return `${weekday?.slice(0, 3)} ${month} ${day} ${clock} UTC ${year}`;
}

import type { GetRecordsCommandOutput } from "@aws-sdk/client-kinesis";
import type { PageRecords } from "../page-records.ts";

/** A GetRecords reply that this library decoded. */
export interface RecordsReply {
  readonly records: PageRecords;
  /** The other members, as in the SDK's output. */
  readonly members: Partial<GetRecordsCommandOutput>;
}

/**
 * Called when the reply of a page begins, and while its body arrives, with the memory that it needs: the
 * announced length, or the received length if that is larger. If it throws, the call fails.
 */
export type ReplyWatch = (bytes: number) => void;

/**
 * A complete but malformed reply. No part of it is used. It is a SyntaxError, as the SDK throws for a reply
 * that it cannot parse.
 */
export class UnreadableReplyError extends SyntaxError {
  readonly $metadata: { readonly httpStatusCode: number; readonly requestId: string | undefined };

  constructor(what: string, $metadata: UnreadableReplyError["$metadata"]) {
    super(`a reply of GetRecords is malformed: ${what}`);
    this.$metadata = $metadata;
  }
}

const MEMBERS: readonly (readonly [string, (value: unknown) => boolean])[] = [
  ["NextShardIterator", (value) => typeof value === "string"],
  ["MillisBehindLatest", (value) => typeof value === "number"],
  ["ChildShards", Array.isArray],
];

/** Whether a member other than the records is used. */
export function isMember(name: string): boolean {
  return MEMBERS.some(([member]) => member === name);
}

/** Returns the members other than the records. Null counts as absent. @throws Error if one has the wrong type */
export function membersOf(reply: ReadonlyMap<string, unknown>): RecordsReply["members"] {
  const members: Record<string, unknown> = {};
  for (const [name, isValid] of MEMBERS) {
    const member = reply.get(name) ?? undefined;
    if (member === undefined) continue;
    if (!isValid(member)) throw new Error(`${name} has the wrong type`);
    members[name] = member;
  }
  return members;
}

/** Kinesis was launched in 2013. The upper bound only tells milliseconds from microseconds. */
const FIRST_ARRIVAL = Date.UTC(2013, 0);
const LAST_ARRIVAL = Date.UTC(2200, 0);

/** @throws Error if no record can have arrived at that time */
export function checkArrival(millis: number): void {
  if (millis >= FIRST_ARRIVAL && millis < LAST_ARRIVAL) return;
  throw new Error("an arrival time is out of range");
}

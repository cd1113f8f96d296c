import type { GetRecordsCommandOutput } from "@aws-sdk/client-kinesis";
import type { PageRecords } from "../page-records.ts";

/** A reply of GetRecords that we have read. */
export interface RecordsReply {
  readonly records: PageRecords;
  /** Its other members, as the SDK's output has them. */
  readonly members: Partial<GetRecordsCommandOutput>;
}

/**
 * Told when a page's reply begins, and as its body comes, how much memory it takes up: what is
 * announced, or what is here if that is more. What it throws ends the call.
 */
export type ReplyWatch = (bytes: number) => void;

/**
 * A complete reply that cannot be what the service meant: none of it is used. To callers it is what
 * the SDK throws for a reply that it cannot parse.
 */
export class UnreadableReplyError extends SyntaxError {
  readonly $metadata: { readonly httpStatusCode: number; readonly requestId: string | undefined };

  constructor(what: string, $metadata: UnreadableReplyError["$metadata"]) {
    super(`a reply of GetRecords makes no sense: ${what}`);
    this.$metadata = $metadata;
  }
}

const MEMBERS: readonly (readonly [string, (value: unknown) => boolean])[] = [
  ["NextShardIterator", (value) => typeof value === "string"],
  ["MillisBehindLatest", (value) => typeof value === "number"],
  ["ChildShards", Array.isArray],
];

/** Is it a member, beside the records, that anything is made of? */
export function isMember(name: string): boolean {
  return MEMBERS.some(([member]) => member === name);
}

/** The members beside the records; what is null is not there. @throws Error for one of a wrong kind */
export function membersOf(reply: ReadonlyMap<string, unknown>): RecordsReply["members"] {
  const members: Record<string, unknown> = {};
  for (const [name, isOne] of MEMBERS) {
    const member = reply.get(name) ?? undefined;
    if (member === undefined) continue;
    if (!isOne(member)) throw new Error(`${name} is not what it has to be`);
    members[name] = member;
  }
  return members;
}

/** Kinesis began in 2013; the other end only distinguishes milliseconds from microseconds. */
const FIRST_ARRIVAL = Date.UTC(2013, 0);
const LAST_ARRIVAL = Date.UTC(2200, 0);

/** @throws Error unless a record can have arrived then */
export function checkArrival(millis: number): void {
  if (millis >= FIRST_ARRIVAL && millis < LAST_ARRIVAL) return;
  throw new Error("an arrival time is out of all bounds");
}

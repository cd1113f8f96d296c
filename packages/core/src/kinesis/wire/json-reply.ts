import type { _Record as SdkRecord } from "@aws-sdk/client-kinesis";
import { DecodedRecords } from "../page-records.ts";
import { checkArrival, membersOf, type RecordsReply } from "./records-reply.ts";

const DIGITS = /^\d{1,129}$/;

/** Reads a page in JSON: data in base64, times in seconds with a fraction. @throws Error for any other reply */
export function readJsonReply({ buffer, byteOffset, byteLength }: Uint8Array): RecordsReply {
  const reply: unknown = JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString());
  if (typeof reply !== "object" || reply === null) throw new Error("it is not an object");
  const members = new Map(Object.entries(reply));
  const records: unknown = members.get("Records") ?? [];
  if (!Array.isArray(records)) throw new Error("Records is not a list");
  for (const record of records) readRecord(record);
  return { records: new DecodedRecords(records as SdkRecord[]), members: membersOf(members) };
}

/** Decodes data and time in place. */
function readRecord(record: unknown): void {
  if (typeof record !== "object" || record === null) throw new Error("a record is not an object");
  const members = record as Record<string, unknown>;
  const { Data, PartitionKey, SequenceNumber, ApproximateArrivalTimestamp: arrival } = members;
  if (typeof SequenceNumber !== "string" || !DIGITS.test(SequenceNumber)) {
    throw new Error("a sequence number has characters other than digits");
  }
  if (typeof Data !== "string") throw new Error("a record's data are not a string");
  members["Data"] = Buffer.from(Data, "base64");
  if (typeof (PartitionKey ?? "") !== "string") throw new Error("a partition key is not a string");
  if (arrival === undefined || arrival === null) return;
  const millis = typeof arrival === "number" ? Math.round(arrival * 1000) : NaN;
  checkArrival(millis);
  members["ApproximateArrivalTimestamp"] = new Date(millis);
}

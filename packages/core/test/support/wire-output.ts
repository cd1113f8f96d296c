import type { GetRecordsCommandOutput } from "@aws-sdk/client-kinesis";
import type { RecordsReply } from "../../src/kinesis/wire/records-reply.ts";

/** A reply that we read, as the SDK would give it. */
export function asOutput({ records, members }: RecordsReply): Partial<GetRecordsCommandOutput> {
  const Records = Array.from({ length: records.length }, (_, index) => {
    const record = records.record(index, "", 0);
    return {
      SequenceNumber: records.sequenceNumber(index),
      ApproximateArrivalTimestamp: record.approximateArrivalTimestamp,
      Data: record.data,
      PartitionKey: record.partitionKey,
      ...(record.encryptionType === undefined ? {} : { EncryptionType: record.encryptionType }),
    };
  });
  return { ...members, Records };
}

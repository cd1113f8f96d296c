import aws from "aws-kinesis-agg";

/**
 * Takes one aggregate apart with the other library, and returns how many user records it had. The library takes
 * base64, as Lambda has it, and its user records' data stay base64.
 */
export function awsKinesisAgg(data: string): number {
  const record = {
    kinesisSchemaVersion: "1.0",
    data,
    partitionKey: "a",
    sequenceNumber: "1",
    approximateArrivalTimestamp: 0,
  };
  let records = 0;
  aws.deaggregateSync(record, true, (error, inside = []) => {
    if (error) throw error;
    records += inside.length;
  });
  return records;
}

/** A Kinesis in a process of its own, filled with records of 1 KiB, so that its CPU counts apart. */
import { CreateStreamCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { startEmulator } from "@kc/emulator";

const records = Number(process.argv[2]);
const emulator = await startEmulator({ quotas: false });
const StreamName = "bench";
await emulator.kinesis.send(new CreateStreamCommand({ StreamName, ShardCount: 1 }));
for (let put = 0; put < records; put += 500) {
  const Records = Array.from({ length: Math.min(500, records - put) }, (_, i) => ({
    PartitionKey: `key-${(put + i) % 100}`,
    Data: Buffer.alloc(1024, put + i),
  }));
  await emulator.kinesis.send(new PutRecordsCommand({ StreamName, Records }));
}
process.send?.({ url: emulator.url });
process.on("disconnect", () => process.exit());

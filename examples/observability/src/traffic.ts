import { setTimeout as sleep } from "node:timers/promises";
import { CreateStreamCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { startEmulator, type Emulator } from "@kc/emulator";

export const STREAM = "orders";
const SHARDS = 4;
const PUT_EVERY_MS = 100;
const FAULT_EVERY_MS = 10_000;

/** Starts an embedded Kinesis, and puts records until the signal aborts. */
export async function startTraffic(signal: AbortSignal): Promise<Emulator> {
  const emulator = await startEmulator();
  await emulator.kinesis.send(new CreateStreamCommand({ StreamName: STREAM, ShardCount: SHARDS }));
  void put(emulator, signal);
  return emulator;
}

/**
 * Puts records at a rate that rises and falls; sometimes Kinesis refuses a read, as the service
 * does.
 */
async function put({ kinesis }: Emulator, signal: AbortSignal): Promise<void> {
  const began = performance.now();
  let faults = 0;
  for (let order = 0; !signal.aborted;) {
    const elapsedMs = performance.now() - began;
    const count = Math.round(10 + 8 * Math.sin(elapsedMs / 5000));
    const Records = Array.from({ length: count }, () => ({
      PartitionKey: `customer-${(order += 1) % 97}`,
      Data: Buffer.from(JSON.stringify({ order, note: "x".repeat(200) })),
    }));
    await kinesis.send(new PutRecordsCommand({ StreamName: STREAM, Records }));
    if (elapsedMs > faults * FAULT_EVERY_MS) {
      faults += 1;
      const error = "ProvisionedThroughputExceededException";
      kinesis.faults.fail({ operation: "GetRecords", times: 16, error });
    }
    await sleep(PUT_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

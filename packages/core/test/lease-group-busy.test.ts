import { CreateStreamCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { FakeKinesis } from "@kc/emulator";
import { expect, onTestFinished, test } from "vitest";
import { Consumer, LeaseGroup, MemoryStore, MemoryStoreData, type Clock } from "../src/index.ts";

const SCOPE = { application: "billing", streamName: "orders" };
const RECORDS = 3000;

/** Time goes by while a handler works, and a millisecond in each turn of the event loop, which alone runs timers. */
class WorkingClock implements Clock {
  readonly #timers = new Set<{ readonly due: number; readonly callback: () => void }>();
  #ms = 0;
  #turns = setImmediate(() => this.#turn());

  now(): number {
    return Date.UTC(2026, 0, 1) + this.#ms;
  }

  monotonic(): number {
    return this.#ms;
  }

  setTimer(callback: () => void, ms: number): () => void {
    const timer = { due: this.#ms + ms, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  yield(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** The event loop stands still for so long. */
  work(ms: number): void {
    this.#ms += ms;
  }

  stop(): void {
    clearImmediate(this.#turns);
  }

  #turn(): void {
    this.#ms += 1;
    for (const timer of [...this.#timers].toSorted((a, b) => a.due - b.due)) {
      if (timer.due > this.#ms || !this.#timers.delete(timer)) continue;
      timer.callback();
    }
    this.#turns = setImmediate(() => this.#turn());
  }
}

test("a sync handler that works for three times its lease keeps the lease", async () => {
  const client = new FakeKinesis({ quotas: false });
  await client.send(new CreateStreamCommand({ StreamName: "orders", ShardCount: 1 }));
  for (let n = 0; n < RECORDS; n += 500) {
    const Records = Array.from({ length: 500 }, (_, i) => ({
      PartitionKey: "a",
      Data: Buffer.from(String(n + i)),
    }));
    await client.send(new PutRecordsCommand({ StreamName: "orders", Records }));
  }
  const data = new MemoryStoreData();
  const clock = new WorkingClock();
  onTestFinished(() => clock.stop());
  const stop = new AbortController();
  const group = new LeaseGroup({ workerId: "a", leaseMs: 1000 });
  let handled = 0;
  let leastRemainingMs = Infinity;
  const consumer = new Consumer({
    stream: "orders",
    application: "billing",
    store: new MemoryStore({ data }),
    group,
    client,
    clock,
    start: "TRIM_HORIZON",
  });
  await consumer.scan(
    () => {
      clock.work(1);
      handled += 1;
      leastRemainingMs = Math.min(leastRemainingMs, group.status().remainingMs);
      if (handled === RECORDS) stop.abort();
    },
    { signal: stop.signal },
  );
  expect(handled, "every record once: the shard was never lost").toBe(RECORDS);
  expect(leastRemainingMs, "of 900 ms, with a heartbeat each 100").toBeGreaterThan(0);
  expect(data.application(SCOPE).shards.get("shardId-000000000000")!.epoch).toBe(1);
});

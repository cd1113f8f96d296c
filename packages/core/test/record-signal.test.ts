import { getEventListeners } from "node:events";
import { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { LeaseLostError } from "../src/index.ts";
import { RecordSignal, RecordSignals } from "../src/delivery/record-signal.ts";

test("a lease whose end is less than a clock can tell apart away ends the signal, and makes no loop", async () => {
  const clock = new FakeClock();
  await clock.advance(1_000_000);
  const end = clock.monotonic() + 10;
  let looks = 0;
  const signals = new RecordSignals({
    shardId: "shardId-000000000000",
    abandon: new AbortController().signal,
    // Another clock's: it lags by a trillionth of a millisecond.
    remainingMs: () => {
      looks += 1;
      if (looks > 100) throw new Error("it loops");
      return clock.monotonic() < end + 0.5 ? Math.max(end - clock.monotonic(), 1e-12) : 0;
    },
    clock,
  });
  const record = new RecordSignal(signals);
  record.begin();
  const { signal } = record;
  await clock.advance(20);
  expect(signal.aborted).toBe(true);
  expect(signal.reason).toBeInstanceOf(LeaseLostError);
  expect(clock.pendingTimers).toBe(0);
});

test("a record that is over leaves no listener on its shard's signal, whether it asked for its own or not", () => {
  const clock = new FakeClock();
  const { signal: abandon } = new AbortController();
  const shard = { shardId: "shardId-000000000000", abandon, remainingMs: undefined, clock };
  const listeners = (): number => getEventListeners(abandon, "abort").length;
  const signals = new RecordSignals(shard);
  const record = new RecordSignal(signals);
  record.begin();
  expect(listeners()).toBe(0);
  const { signal } = record;
  record.begin();
  expect(record.signal).not.toBe(signal);
  expect(listeners()).toBe(1);
  record.end();
  signals.close();
  expect(listeners()).toBe(0);
});

import { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { ShardProgress } from "../src/checkpoints/shard-progress.ts";
import { CompletedAhead, type OpenRecords } from "../src/delivery/completed-ahead.ts";

test("a checkpoint beyond which nothing is done is made without a look at the records in hand", () => {
  const progress = new ShardProgress({
    shardId: "shardId-000000000000",
    fence: undefined,
    acknowledged: undefined,
    firstNumber: () => "1",
    maxAheadBytes: 1000,
    writeThrough: false,
    phaseMs: 0,
    maxUnflushedMs: Infinity,
    clock: new FakeClock(),
    onDirty: () => {},
    onFlush: () => {},
  });
  const done = new Set<number>();
  let looks = 0;
  const records: OpenRecords = {
    newest: "9",
    each(use) {
      looks += 1;
      for (let n = 2; n <= 9; n += 1) use(String(n), undefined, true, done.has(n));
    },
  };
  const beyond = new CompletedAhead(progress, records);
  expect(progress.aheadOf({ sequenceNumber: "1" })).toBeUndefined();
  expect(looks).toBe(0);
  done.add(5);
  beyond.done(3, 1);
  expect(progress.aheadOf({ sequenceNumber: "1" })).toMatch(/^00001/);
  expect(looks).toBe(1);
});

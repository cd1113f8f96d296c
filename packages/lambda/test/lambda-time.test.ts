import { MemoryDeadLetterQueue } from "@kc/core";
import { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { toLambdaHandler } from "../src/index.ts";
import { contextOf, eventOf, failuresAt, lines, texts } from "./support/events.ts";

const { logger } = lines();

function waiter(clock: FakeClock) {
  return (ms: number): Promise<void> => new Promise((resolve) => void clock.setTimer(resolve, ms));
}

test("no record is started when little of the function's time is left, and the rest is reported", async () => {
  const clock = new FakeClock();
  const wait = waiter(clock);
  const started: string[] = [];
  const lambda = toLambdaHandler(
    async (record) => {
      started.push(`${record.text()} at ${clock.monotonic()}`);
      await wait(9000);
    },
    { clock, logger },
  );
  const answer = lambda(eventOf(texts("a", "b", "c", "d", "e")), contextOf(clock, 30_000));
  // The third one begins at 18 s, and ends at 27 s, in the first half of the last 5 s.
  await clock.advance(27_000);
  expect(await answer).toEqual(failuresAt(3));
  expect(started).toEqual(["a at 0", "b at 9000", "c at 18000"]);
});

test("a handler that does not return in time is told so by its signal, and is not waited for", async () => {
  const clock = new FakeClock();
  let abortedAt = -1;
  const lambda = toLambdaHandler(
    (record, { signal }) => {
      if (record.text() !== "stuck") return undefined;
      signal.addEventListener("abort", () => (abortedAt = clock.monotonic()));
      return new Promise(() => {});
    },
    { clock, logger, drainTimeoutMs: 2000 },
  );
  const answer = lambda(eventOf(texts("a", "stuck", "c")), contextOf(clock, 10_000));
  await clock.advance(9000);
  expect(await answer).toEqual(failuresAt(1));
  expect(abortedAt).toBe(9000);
});

test("what is reported for want of time is logged, and a handler that follows its signal has not failed", async () => {
  const clock = new FakeClock();
  const log = lines();
  const lambda = toLambdaHandler(
    (_, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      }),
    { clock, logger: log.logger },
  );
  const answer = lambda(eventOf(texts("a", "b")), contextOf(clock, 10_000));
  await clock.advance(10_000);
  expect(await answer).toEqual(failuresAt(0));
  expect(log.lines).toEqual(["warn the time is nearly over: records are given back"]);
});

test("a short invocation keeps half of its time for its handlers", async () => {
  const clock = new FakeClock();
  const started: number[] = [];
  const lambda = toLambdaHandler(
    async () => {
      started.push(clock.monotonic());
      await waiter(clock)(400);
    },
    { clock, logger },
  );
  const answer = lambda(eventOf(texts("a", "b", "c", "d", "e", "f")), contextOf(clock, 3000));
  await clock.advance(1600);
  expect(await answer).toEqual(failuresAt(4));
  expect(started).toEqual([0, 400, 800, 1200]);
});

test("a wait for the next attempt ends with the time, and its record is reported", async () => {
  const clock = new FakeClock();
  const lambda = toLambdaHandler(
    () => {
      throw new Error("no");
    },
    { clock, logger, retry: { maxAttempts: Infinity, minDelayMs: 3_600_000, factor: 1 } },
  );
  const answer = lambda(eventOf(texts("a")), contextOf(clock, 60_000));
  await clock.advance(55_000);
  expect(await answer).toEqual(failuresAt(0));
});

test("a record whose letter is not acknowledged in time is reported", async () => {
  const clock = new FakeClock();
  class Away extends MemoryDeadLetterQueue {
    override send(): Promise<void> {
      return new Promise(() => {});
    }
  }
  const lambda = toLambdaHandler(
    () => {
      throw new Error("no");
    },
    { clock, logger, application: "billing", onFailure: new Away() },
  );
  const answer = lambda(eventOf(texts("a")), contextOf(clock, 60_000));
  await clock.advance(57_500);
  expect(await answer).toEqual(failuresAt(0));
});

test("handlerTimeoutMs fails an attempt, and its record is tried again", async () => {
  const clock = new FakeClock();
  const calls: number[] = [];
  const lambda = toLambdaHandler(
    async (_, { signal, attempt }) => {
      calls.push(attempt);
      if (attempt > 1) return;
      await new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    },
    { clock, logger, handlerTimeoutMs: 1000, retry: { minDelayMs: 10, maxDelayMs: 10 } },
  );
  const answer = lambda(eventOf(texts("a")), contextOf(clock, 60_000));
  await clock.advance(1010);
  expect(await answer).toEqual({ batchItemFailures: [] });
  expect(calls).toEqual([1, 2]);
});

test("a handler that runs on holds back its shard in the next invocation, and no other shard", async () => {
  const clock = new FakeClock();
  const started: string[] = [];
  let release = (): void => {};
  const lambda = toLambdaHandler(
    (record) => {
      started.push(`${record.text()} of ${record.shardId}`);
      return record.text() === "stuck" && started.length === 1
        ? new Promise<void>((resolve) => (release = resolve))
        : undefined;
    },
    { clock, logger },
  );
  const first = lambda(eventOf(texts("stuck")), contextOf(clock, 10_000));
  await clock.advance(7500);
  expect(await first).toEqual(failuresAt(0));
  const other = { data: "x", shardId: "shardId-000000000007" };
  expect(await lambda(eventOf([other]))).toEqual({ batchItemFailures: [] });
  const second = lambda(eventOf(texts("stuck")), contextOf(clock, 10_000));
  await clock.settle();
  expect(started).toEqual(["stuck of shardId-000000000006", "x of shardId-000000000007"]);
  release();
  await clock.settle();
  expect(await second).toEqual({ batchItemFailures: [] });
  expect(started.at(-1)).toBe("stuck of shardId-000000000006");
});

test("a handler that never returns holds back its shard in the next invocation alone, for half of drainTimeoutMs", async () => {
  const clock = new FakeClock();
  const { lines: kept, logger: own } = lines();
  const started: number[] = [];
  const lambda = toLambdaHandler(
    () => {
      started.push(clock.monotonic());
      return started.length === 1 ? new Promise<void>(() => {}) : undefined;
    },
    { clock, logger: own },
  );
  // Lambda's own default: the drain time is half of it.
  const invoke = async () => {
    const answer = lambda(eventOf(texts("a", "b")), contextOf(clock, 3000));
    await clock.advance(3000);
    return answer;
  };
  expect(await invoke()).toEqual(failuresAt(0));
  expect(await invoke()).toEqual({ batchItemFailures: [] });
  expect(await invoke()).toEqual({ batchItemFailures: [] });
  expect(started).toEqual([0, 3750, 3750, 6000, 6000]);
  expect(kept).toContain(
    "warn an abandoned handler has not returned: it is not waited for any longer",
  );
});

test("an invocation leaves no timer behind", async () => {
  const clock = new FakeClock();
  let set = 0;
  const setTimer = clock.setTimer.bind(clock);
  clock.setTimer = (callback, ms) => {
    set += 1;
    const cancel = setTimer(callback, ms);
    let isSet = true;
    return () => {
      if (isSet) set -= 1;
      isSet = false;
      cancel();
    };
  };
  const lambda = toLambdaHandler(() => {}, { clock, logger });
  await lambda(eventOf(texts("a")), contextOf(clock, 60_000));
  expect(set).toBe(0);
});

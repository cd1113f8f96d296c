import type { BatchHandler, ConsumerRecord } from "@kc/core";
import { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { toLambdaBatchHandler } from "../src/index.ts";
import { eventOf, failuresAt, lines, numberOf, texts } from "./support/events.ts";

const { logger } = lines();

function keeping(answer: (batch: readonly string[], call: number) => unknown) {
  const batches: string[] = [];
  const handler: BatchHandler = async (records) => {
    const batch = records.map((record) => record.text());
    batches.push(batch.join(""));
    return answer(batch, batches.length);
  };
  return { batches, handler };
}

test("batches are formed by maxRecords and maxBytes, and the last one does not wait", async () => {
  const { batches, handler } = keeping(() => undefined);
  const lambda = toLambdaBatchHandler(handler, { maxRecords: 3, maxBytes: 4 });
  const event = eventOf(texts("a", "b", "c", "dd", "ee", "f"));
  expect(await lambda(event)).toEqual({ batchItemFailures: [] });
  expect(batches).toEqual(["abc", "ddee", "f"]);
});

test("a partial answer: by shard everything from the first failed record on is reported", async () => {
  const { batches, handler } = keeping((batch) => ({
    batchItemFailures: batch.flatMap((text, at) =>
      text === "c" || text === "e" ? [{ itemIdentifier: numberOf(at) }] : [],
    ),
  }));
  const lambda = toLambdaBatchHandler(handler, { logger });
  expect(await lambda(eventOf(texts("a", "b", "c", "d", "e")))).toEqual(failuresAt(2));
  expect(batches).toEqual(["abcde"]);
});

test("a partial answer is tried again within the invocation by retry", async () => {
  const clock = new FakeClock();
  const { batches, handler } = keeping((_, call) =>
    call === 1 ? { batchItemFailures: [{ itemIdentifier: numberOf(1) }] } : undefined,
  );
  const retry = { maxAttempts: 2, minDelayMs: 100, factor: 1 };
  const answer = toLambdaBatchHandler(handler, { clock, logger, retry })(
    eventOf(texts("a", "b", "c")),
  );
  await clock.advance(100);
  expect(await answer).toEqual({ batchItemFailures: [] });
  expect(batches).toEqual(["abc", "bc"]);
});

test.for<[string, unknown]>([
  ["an unknown identifier", { batchItemFailures: [{ itemIdentifier: "4711" }] }],
  ["an empty identifier", { batchItemFailures: [{ itemIdentifier: "" }] }],
  ["no identifier", { batchItemFailures: [{}] }],
  ["no list", { batchItemFailures: "all" }],
  ["null in the list", { batchItemFailures: [null] }],
])("junk fails the whole batch: %s", async ([, junk]) => {
  const { handler } = keeping(() => junk);
  const lambda = toLambdaBatchHandler(handler, { logger });
  expect(await lambda(eventOf(texts("a", "b")))).toEqual(failuresAt(0));
});

test("a batch whose handler throws is halved until the failing record stands alone", async () => {
  const { batches, handler } = keeping((batch) => {
    if (batch.includes("c")) throw new Error("no");
  });
  const lambda = toLambdaBatchHandler(handler, { logger, bisect: true, onFailure: "skip" });
  expect(await lambda(eventOf(texts("a", "b", "c", "d")))).toEqual({ batchItemFailures: [] });
  expect(batches).toEqual(["abcd", "ab", "cd", "c", "d"]);
});

test("batches of several keys run side by side, and the lowest record that is not done is reported", async () => {
  const { handler } = keeping((batch) => {
    if (batch.includes("b")) throw new Error("no");
  });
  const lambda = toLambdaBatchHandler(handler, { logger, concurrency: 4, maxRecords: 1 });
  const puts = ["a", "b", "c", "d"].map((data) => ({ key: data, data }));
  expect(await lambda(eventOf(puts))).toEqual(failuresAt(1));
});

test("of a batch with a record that does not decode, those before it are handled", async () => {
  const { batches, handler } = keeping(() => undefined);
  const decode = (record: ConsumerRecord): unknown => record.json();
  const lambda = toLambdaBatchHandler(handler, { logger, decode });
  expect(await lambda(eventOf(texts("1", "2", "{", "4", "{")))).toEqual(failuresAt(2));
  expect(batches[0]).toBe("12");
  expect(await lambda(eventOf(texts("{", "1"), 7))).toEqual(failuresAt(7));
});

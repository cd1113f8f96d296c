import { expect, test } from "vitest";
import { CallLog } from "../src/call-log.ts";

const put = (count: number): Record<string, unknown> => ({
  Records: Array.from({ length: count }, (_, i) => ({
    PartitionKey: `k${i}`,
    Data: Buffer.alloc(1),
  })),
});
const keysIn = (log: CallLog): number =>
  log.entries.reduce((sum, { input }) => sum + ((input["Records"] as unknown[]) ?? []).length, 0);

test("calls that put many records are forgotten sooner, so that no more than 20,000 keys are kept", () => {
  const log = new CallLog();
  for (let call = 1; call <= 1000; call += 1) {
    log.add("PutRecords", put(500), call);
    expect(keysIn(log)).toBeLessThanOrEqual(20_000);
    expect(keysIn(log)).toBeGreaterThanOrEqual(Math.min(500 * call, 9500));
    expect(log.entries.at(-1)?.at).toBe(call);
  }
  expect(log.countOf("PutRecords")).toBe(1000);
  for (let call = 0; call < 5000; call += 1) log.add("GetRecords", {}, call);
  expect(log.entries.length).toBeGreaterThanOrEqual(1000);
  expect(log.entries.length).toBeLessThanOrEqual(2000);
  log.clear();
  expect(log.entries).toEqual([]);
  for (let call = 0; call < 30; call += 1) log.add("PutRecords", put(500), call);
  expect(log.entries).toHaveLength(30);
});

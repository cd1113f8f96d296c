import { describe, expect, it } from "vitest";
import { ConfigError, MemoryDeadLetterQueue } from "../src/index.ts";
import type { BatchOptions, DeliveryOptions } from "../src/options/delivery-options.ts";
import { resolveBatches, resolveDelivery } from "../src/options/resolve-delivery.ts";

function refusal(resolve: () => unknown): ConfigError {
  try {
    resolve();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  return expect.fail("the options must be refused");
}

const ofScan = (options: object): ConfigError =>
  refusal(() => resolveDelivery(options as DeliveryOptions));
const ofBatches = (options: object): ConfigError =>
  refusal(() => resolveBatches(options as BatchOptions));

describe("the options of a delivery", () => {
  it("without any, a record has one attempt, one at a time, and its failure ends the scan", () => {
    expect(resolveDelivery({})).toStrictEqual({
      signal: undefined,
      concurrency: 1,
      ordering: "key",
      key: undefined,
      retry: {
        maxAttempts: 1,
        minDelayMs: 0,
        maxDelayMs: 0,
        factor: 1,
        shouldRetry: undefined,
      },
      maxRecordAgeMs: Infinity,
      handlerTimeoutMs: undefined,
      onFailure: "stop",
      decode: undefined,
    });
    expect(resolveBatches({})).toMatchObject({
      maxRecords: 100,
      maxBytes: 6 * 1024 * 1024,
      maxWaitMs: 0,
      bisect: false,
    });
  });

  it("retry without members is three attempts, and a long least delay raises the longest", () => {
    expect(resolveDelivery({ retry: {} }).retry).toStrictEqual({
      maxAttempts: 3,
      minDelayMs: 100,
      maxDelayMs: 30_000,
      factor: 2,
      shouldRetry: undefined,
    });
    expect(resolveDelivery({ retry: { minDelayMs: 60_000 } }).retry.maxDelayMs).toBe(60_000);
  });

  it("what is given is taken", () => {
    const onFailure = new MemoryDeadLetterQueue();
    const { signal } = new AbortController();
    const retry = { maxAttempts: Infinity, minDelayMs: 0, maxDelayMs: 0, factor: 1 };
    const options = { concurrency: 10_000, retry, maxRecordAgeMs: 1, handlerTimeoutMs: 1 } as const;
    const whole = { ...options, ordering: "none", signal, onFailure, decode: () => 1 } as const;
    expect(resolveDelivery(whole)).toMatchObject({
      ...options,
      ordering: "none",
      signal,
      onFailure,
    });
  });

  it.each<[string, object]>([
    ["concurrency", { concurrency: 0 }],
    ["concurrency", { concurrency: 10_001 }],
    ["concurrency", { concurrency: 1.5 }],
    ["concurrency", { concurrency: "2" }],
    ["ordering", { ordering: "partition" }],
    ["ordering", { ordering: null }],
    ["key", { key: "customer" }],
    ["retry", { retry: 3 }],
    ["retry", { retry: null }],
    ["retry.maxAttempts", { retry: { maxAttempts: 0 } }],
    ["retry.maxAttempts", { retry: { maxAttempts: 1.5 } }],
    ["retry.minDelayMs", { retry: { minDelayMs: -1 } }],
    ["retry.maxDelayMs", { retry: { minDelayMs: 10, maxDelayMs: 5 } }],
    ["retry.maxDelayMs", { retry: { maxDelayMs: Infinity } }],
    ["retry.factor", { retry: { factor: 0.5 } }],
    ["retry.factor", { retry: { factor: Number.NaN } }],
    ["retry.shouldRetry", { retry: { shouldRetry: true } }],
    ["delay", { retry: { delay: 5 } }],
    ["maxRecordAgeMs", { maxRecordAgeMs: 0, onFailure: "skip" }],
    ["maxRecordAgeMs", { maxRecordAgeMs: "1h", onFailure: "skip" }],
    ["handlerTimeoutMs", { handlerTimeoutMs: 0 }],
    ["onFailure", { onFailure: "dead-letter" }],
    ["onFailure", { onFailure: {} }],
    ["onFailure", { onFailure: null }],
    ["decode", { decode: "json" }],
    ["decode", { decode: null }],
    ["decode", { decode: { "~standard": {} } }],
    ["signal", { signal: new AbortController() }],
  ])("%s: %o is refused by its name", (option, options) => {
    expect(ofScan(options).option).toBe(option);
    expect(ofBatches(options).option).toBe(option);
  });

  it.each<[string, object]>([
    ["maxRecords", { maxRecords: 0 }],
    ["maxRecords", { maxRecords: 10_001 }],
    ["maxBytes", { maxBytes: 0 }],
    ["maxWaitMs", { maxWaitMs: -1 }],
    ["bisect", { bisect: "yes" }],
    ["bisect", { bisect: true, maxRecords: 1 }],
  ])("of batches alone, %s: %o is refused by its name", (option, options) => {
    expect(ofBatches(options).option).toBe(option);
    expect(ofScan(options).message).toContain("no such option");
  });

  it.each<[string, object, string]>([
    ["concurrency in a shard's order", { ordering: "shard", concurrency: 2 }, "one is handled"],
    ["a key in no order", { ordering: "none", key: () => "" }, "has no effect"],
    ["a key in a shard's order", { ordering: "shard", key: () => "" }, "has no effect"],
    ["an age that ends the scan", { maxRecordAgeMs: 1000 }, "dead-letter queue"],
  ])("what makes no sense together is refused, and why: %s", (_, options, why) => {
    expect(ofScan(options).message).toContain(why);
  });

  it.each([
    ["concurency", "concurrency"],
    ["maxConcurrency", "concurrency"],
    ["parallelizationFactor", "concurrency"],
    ["attempts", "retry, as { maxAttempts }"],
    ["deadLetter", "onFailure"],
    ["schema", "decode"],
    ["handlerTimeout", "handlerTimeoutMs"],
  ])("%s is refused, and %s suggested", (name, suggested) => {
    expect(ofScan({ [name]: 1 }).message).toContain(`did you mean ${suggested}?`);
  });

  it.each([
    ["batchSize", "maxRecords"],
    ["bisectBatchOnFunctionError", "bisect"],
    ["maxWait", "maxWaitMs"],
  ])("of batches, %s is refused, and %s suggested", (name, suggested) => {
    expect(ofBatches({ [name]: 1 }).message).toContain(`did you mean ${suggested}?`);
  });
});

import { MemoryDeadLetterQueue, type ConfigError } from "@kc/core";
import { expect, test } from "vitest";
import { toLambdaBatchHandler, toLambdaHandler } from "../src/index.ts";

function refusalOf(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    const { code, option, message } = error as ConfigError;
    expect(code).toBe("CONFIG_INVALID");
    expect(message).toContain(option);
    return message;
  }
  throw new Error("it was accepted");
}

const made = (options: object) => (): unknown => toLambdaHandler(() => {}, options);
const madeBatch = (options: object) => (): unknown => toLambdaBatchHandler(() => {}, options);

test.for<[string, () => unknown, string]>([
  ["no handler", () => toLambdaHandler(undefined as never), "must be a function"],
  ["no batch handler", () => toLambdaBatchHandler({} as never), "must be a function"],
  ["a list", made([]), "takes an object"],
  ["null", made(null as never), "takes an object"],
  ["a misspelled name", made({ concurency: 2 }), "did you mean concurrency?"],
  ["Lambda's own name", made({ maximumRetryAttempts: 2 }), "did you mean retry"],
  ["a batch's option", made({ bisect: true }), "has no such option"],
  ["a signal", made({ signal: undefined }), "an invocation ends by its time"],
  ["a wait", madeBatch({ maxWaitMs: 100 }), "MaximumBatchingWindowInSeconds"],
  ["concurrency", made({ concurrency: 0 }), "from 1 to 10000"],
  ["an old record that stops", made({ maxRecordAgeMs: 1000 }), "could never be passed"],
  ["a queue without application", made({ onFailure: new MemoryDeadLetterQueue() }), "letters"],
  ["a bad application", made({ application: "" }), "1 to 255 characters"],
  ["drainTimeoutMs", made({ drainTimeoutMs: 0 }), "from 100 to"],
  ["deaggregate", made({ deaggregate: "some" }), 'true, false or "all"'],
  ["a counter", made({ counter: {} }), "a Counter"],
  ["a logger", made({ logger: null }), "a Logger"],
  ["a clock", made({ clock: {} }), "a Clock"],
  ["random", made({ random: 4 }), "must be a function"],
  ["bisect of one", madeBatch({ maxRecords: 1, bisect: true }), "cannot be halved"],
])("an option that makes no sense is refused when the function is made: %s", ([, make, why]) => {
  expect(refusalOf(make)).toContain(why);
});

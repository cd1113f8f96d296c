import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DecoderRefusal, UndecodableError } from "../src/delivery/decode.ts";
import {
  retryDelayMs,
  verdictOf,
  type FailedAttempt,
  type FailurePolicy,
  type RetryPolicy,
  type Verdict,
} from "../src/delivery/failure-policy.ts";
import { ConsumerRecord, NonRetriableError, RetryAfterError } from "../src/index.ts";

const record = new ConsumerRecord({
  data: new Uint8Array(0),
  partitionKey: "customer",
  sequenceNumber: "7",
  subSequenceNumber: undefined,
  approximateArrivalMs: 0,
  shardId: "shardId-000000000000",
  millisBehindLatest: 0,
  encryptionType: undefined,
});
const RETRY: RetryPolicy = {
  maxAttempts: 3,
  minDelayMs: 100,
  maxDelayMs: 30_000,
  factor: 2,
  shouldRetry: undefined,
};

const policies: fc.Arbitrary<RetryPolicy> = fc
  .record({
    maxAttempts: fc.oneof(fc.integer({ min: 1, max: 10 }), fc.constant(Infinity)),
    minDelayMs: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    beyondMs: fc.integer({ min: 0, max: 1e6 }),
    factor: fc.double({ min: 1, max: 1000, noNaN: true }),
  })
  .map(({ beyondMs, ...policy }) => ({
    ...policy,
    maxDelayMs: policy.minDelayMs + beyondMs,
    shouldRetry: undefined,
  }));
const attempts = fc.integer({ min: 1, max: 10_000 });
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

function verdict(
  own: Partial<FailedAttempt> = {},
  retry: Partial<RetryPolicy> = {},
  maxRecordAgeMs = Infinity,
): Verdict {
  const failed = { attempt: 1, error: new Error("no"), record, ageMs: 0, ...own };
  const policy: FailurePolicy = { retry: { ...RETRY, ...retry }, maxRecordAgeMs };
  return verdictOf(failed, policy, () => 0.5);
}

describe("waits between attempts", () => {
  it("are random between the least delay and a bound that grows up to the longest", () => {
    fc.assert(
      fc.property(policies, attempts, chance, (policy, attempt, random) => {
        const delay = retryDelayMs(attempt, policy, () => random);
        const bound = Math.min(
          policy.maxDelayMs,
          policy.minDelayMs * policy.factor ** Math.min(attempt, 100),
        );
        expect(delay).toBeGreaterThanOrEqual(Math.max(1, policy.minDelayMs));
        expect(delay).toBeLessThanOrEqual(Math.max(1, bound));
      }),
    );
  });

  it("use the whole range, and double by default", () => {
    const bounds = [1, 2, 3].map((attempt) => [
      retryDelayMs(attempt, RETRY, () => 0),
      retryDelayMs(attempt, RETRY, () => 1),
    ]);
    expect(bounds).toStrictEqual([
      [100, 200],
      [100, 400],
      [100, 800],
    ]);
  });

  it("are at least a millisecond, so that no handler is called in a tight loop", () => {
    expect(retryDelayMs(1, { ...RETRY, minDelayMs: 0 }, () => 0)).toBe(1);
  });
});

describe("the verdict on a failed attempt", () => {
  it("is another attempt until all are made, and none after the last one", () => {
    fc.assert(
      fc.property(policies, fc.integer({ min: 1, max: 20 }), chance, (retry, attempt, random) => {
        const failed = { attempt, error: new Error("no"), record, ageMs: 0 };
        const answer = verdictOf(failed, { retry, maxRecordAgeMs: Infinity }, () => random);
        if (attempt < retry.maxAttempts) expect(answer.kind).toBe("retry");
        else expect(answer).toStrictEqual({ kind: "give-up", reason: "attempts" });
      }),
    );
  });

  it("never waits for an attempt at which the record would be too old", () => {
    fc.assert(
      fc.property(
        policies,
        fc.integer({ min: 0, max: 1e9 }),
        fc.integer({ min: 1, max: 1e9 }),
        chance,
        (policy, ageMs, maxRecordAgeMs, random) => {
          const retry = { ...policy, maxAttempts: Infinity };
          const failed = { attempt: 1, error: new Error("no"), record, ageMs };
          const answer = verdictOf(failed, { retry, maxRecordAgeMs }, () => random);
          const afterMs = retryDelayMs(1, retry, () => random);
          if (ageMs + afterMs > maxRecordAgeMs) {
            expect(answer).toStrictEqual({ kind: "give-up", reason: "age" });
          } else expect(answer).toStrictEqual({ kind: "retry", afterMs });
        },
      ),
    );
  });

  it("follows a NonRetriableError of any copy, whatever attempts are left", () => {
    const expected = { kind: "give-up", reason: "non-retriable" };
    expect(verdict({ error: new NonRetriableError("no") })).toStrictEqual(expected);
    expect(verdict({ error: { [Symbol.for("@kc/non-retriable")]: true } })).toStrictEqual(expected);
  });

  it("follows the delay of a RetryAfterError, beyond the longest of the policy too", () => {
    expect(verdict({ error: new RetryAfterError(60_000) })).toStrictEqual({
      kind: "retry",
      afterMs: 60_000,
    });
    expect(verdict({ error: new RetryAfterError(0) })).toMatchObject({ afterMs: 1 });
    expect(verdict({ error: new RetryAfterError(Infinity) })).toMatchObject({
      afterMs: 2 ** 31 - 1,
    });
    expect(verdict({ error: new RetryAfterError(5), attempt: 3 })).toMatchObject({
      reason: "attempts",
    });
  });

  it.each([Number.NaN, -1, "5"])("takes its own delay where that one is %s", (delayMs) => {
    const error = new RetryAfterError(delayMs as number);
    expect(verdict({ error })).toStrictEqual({ kind: "retry", afterMs: 150 });
  });

  it.each([
    ["undefined", undefined],
    ["null", null],
    ["a text", "no"],
    ["a frozen error", Object.freeze(new Error("no"))],
    ["a proxy that was revoked", revoked()],
    ["an error whose delay cannot be read", unreadable()],
  ])("tries again after %s", (_, error) => {
    expect(verdict({ error })).toStrictEqual({ kind: "retry", afterMs: 150 });
  });

  it("gives up what does not decode, without asking", () => {
    const shouldRetry = (): boolean => {
      throw new Error("asked");
    };
    const error = new UndecodableError("not JSON");
    expect(verdict({ error }, { shouldRetry })).toStrictEqual({
      kind: "give-up",
      reason: "undecodable",
    });
  });

  it("asks shouldRetry with the error and the record while attempts are left", () => {
    const asked: unknown[] = [];
    const shouldRetry = (...given: unknown[]): boolean => {
      asked.push(given);
      return false;
    };
    const error = new Error("no");
    expect(verdict({ error }, { shouldRetry })).toStrictEqual({
      kind: "give-up",
      reason: "non-retriable",
    });
    expect(verdict({ error, attempt: 3 }, { shouldRetry })).toMatchObject({ reason: "attempts" });
    expect(asked).toStrictEqual([[error, record]]);
  });

  it("ends the scan where shouldRetry throws, or answers with a promise", () => {
    const shouldRetry = (): boolean => {
      throw new TypeError("a bug");
    };
    expect(() => verdict({}, { shouldRetry })).toThrow(
      expect.objectContaining({ code: "HANDLER_FAILED", shardId: "shardId-000000000000" }),
    );
    const isAsync = (async () => true) as unknown as () => boolean;
    expect(() => verdict({}, { shouldRetry: isAsync })).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID", option: "retry.shouldRetry" }),
    );
  });

  it("ends the scan where the decoder is async", () => {
    const error = new DecoderRefusal("decode", "must be synchronous");
    expect(() => verdict({ error })).toThrow(error);
  });
});

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function unreadable(): unknown {
  return Object.defineProperty(new RetryAfterError(1), "delayMs", {
    get: () => {
      throw new Error("no");
    },
  });
}

import { randomUUID } from "node:crypto";
import { KcError, type Checkpoint, type CheckpointWrite, type StoreScope } from "@kc/core";
import { Redis, type RedisOptions } from "ioredis";
import { expect, inject, onTestFinished } from "vitest";
import { RedisStore, type RedisStoreOptions } from "../../src/index.ts";

export const SHARD = "shardId-000000000000";
const FIRST = 49590338271490256608559692538361571095921575989136588898n;

/** The `n`-th position of a shard: neighbours are equal as doubles. */
export function at(n: number, subSequenceNumber?: number): Checkpoint {
  const sequenceNumber = String(FIRST + BigInt(n));
  return subSequenceNumber === undefined
    ? { kind: "position", sequenceNumber }
    : { kind: "position", sequenceNumber, subSequenceNumber };
}

export const numberAt = (n: number): string => String(FIRST + BigInt(n));

export const writeOf = (checkpoint: Checkpoint, shardId = SHARD): CheckpointWrite => ({
  shardId,
  checkpoint,
});

/** An application of its own: no test sees another's keys. */
export function ownScope(): StoreScope {
  return { application: `billing-${randomUUID()}`, streamName: "orders" };
}

/** Closed at the test's end. */
export function openStore(options: RedisStoreOptions): RedisStore {
  const store = new RedisStore(options);
  onTestFinished(() => store[Symbol.asyncDispose]());
  return store;
}

/** A client of its own on the server that all tests share, or on another. */
export function connect(
  url: string = inject("redis").url,
  options: Pick<RedisOptions, "maxRetriesPerRequest"> = {},
): Redis {
  const client = new Redis(url, { retryStrategy: () => 20, ...options });
  client.on("error", () => undefined);
  onTestFinished(() => client.disconnect());
  return client;
}

/** The error that a call rejects with, which must be one of this library's. */
export async function failure(call: Promise<unknown>): Promise<KcError> {
  const error = await call.then(
    (value) => new Error(`resolved with ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!KcError.is(error)) throw error;
  return error;
}

export async function expectFailure(
  call: Promise<unknown>,
  expected: { readonly code: string; readonly retryable: boolean; readonly text?: string },
): Promise<void> {
  const { code, retryable, message } = await failure(call);
  expect({ code, retryable }, message).toStrictEqual({
    code: expected.code,
    retryable: expected.retryable,
  });
  if (expected.text !== undefined) expect(message).toContain(expected.text);
}

import {
  KcError,
  type Checkpoint,
  type CheckpointWrite,
  type StoreScope,
  type WorkerMembership,
} from "@kc/core";
import { expect, onTestFinished } from "vitest";
import { MysqlStore, type MysqlStoreOptions } from "../../src/index.ts";

export const SCOPE: StoreScope = { application: "billing", streamName: "orders" };
export const NAMESPACE = "billing-orders";
export const SHARD = "shardId-000000000000";
/** Of all statements, that of a claim alone contains it. */
export const CLAIM = "SET l.owner = _utf8mb4";
export const WORKER: WorkerMembership = {
  workerId: "worker",
  incarnation: "1",
  weight: 1,
  maxShards: undefined,
};
const FIRST = 49590338271490256608559692538361571095921575989136588898n;

export const numberAt = (n: number): string => String(FIRST + BigInt(n));

/** The `n`-th position of a shard: neighbours are equal as doubles. */
export function at(n: number, subSequenceNumber?: number): Checkpoint {
  const sequenceNumber = numberAt(n);
  return subSequenceNumber === undefined
    ? { kind: "position", sequenceNumber }
    : { kind: "position", sequenceNumber, subSequenceNumber };
}

export const writeOf = (checkpoint: Checkpoint, shardId = SHARD): CheckpointWrite => ({
  shardId,
  checkpoint,
});

export const shard = (index: number): string => `shardId-${String(index).padStart(12, "0")}`;

/** Closed at the test's end. */
export function openStore(options: MysqlStoreOptions): MysqlStore {
  const store = new MysqlStore(options);
  onTestFinished(() => store[Symbol.asyncDispose]());
  return store;
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
): Promise<KcError> {
  const error = await failure(call);
  const { code, retryable, message } = error;
  expect({ code, retryable }, message).toStrictEqual({
    code: expected.code,
    retryable: expected.retryable,
  });
  if (expected.text !== undefined) expect(message).toContain(expected.text);
  return error;
}

export const UNAVAILABLE = { code: "STORE_UNAVAILABLE", retryable: true } as const;
export const DENIED = { code: "STORE_ACCESS_DENIED", retryable: false } as const;
export const WRONG_SCHEMA = { code: "STORE_SCHEMA", retryable: false } as const;
export const CLOSED = { code: "STORE_CLOSED", retryable: false } as const;
export const CONFLICT = { code: "NAMESPACE_CONFLICT", retryable: false } as const;

import { setTimeout as delay } from "node:timers/promises";
import { KcError } from "@kc/core";
import { expect } from "vitest";

/** Returns the error with which a promise rejected. Fails if it resolved. */
export async function rejection(promise: Promise<unknown>, what: string): Promise<unknown> {
  const settled = await promise.then(
    (value) => ({ rejected: false as const, value }),
    (error: unknown) => ({ rejected: true as const, error }),
  );
  if (settled.rejected) return settled.error;
  return expect.fail(`${what} must reject, but resolved with ${show(settled.value)}`);
}

/** Fails unless this is a StoreError (of any copy of core) with the code and `retryable` given. */
export function expectStoreError(
  error: unknown,
  expected: { readonly code?: string; readonly retryable: boolean },
  what: string,
): void {
  if (!KcError.is(error) || !error.code.startsWith("STORE_")) {
    expect.fail(`${what} must reject with a StoreError, not ${show(error)}`);
  }
  const { code, retryable } = error;
  expect({ code, retryable }, what).toStrictEqual({ code, ...expected });
}

/** The result of a call that may fail at a locked row before the store knows about the lock. */
export async function withinThreeTries<Answer>(
  call: () => Promise<Answer>,
  what: string,
): Promise<Answer> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await call();
    } catch (error) {
      expectStoreError(error, { retryable: true }, `${what} that meets a locked row`);
      if (tries === 3) expect.fail(`one locked row fails all of ${what}: ${String(error)}`);
    }
  }
}

/**
 * The result of a call whose connection was just restored: retryable failures are retried until the
 * deadline; then the last one is thrown.
 */
export async function onceRecovered<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!KcError.is(error) || !error.retryable || performance.now() > deadline) throw error;
      await delay(10);
    }
  }
}

function show(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  return JSON.stringify(value) ?? String(value);
}

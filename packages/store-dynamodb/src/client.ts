import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { StoreError, systemClock, type CallOptions } from "@kc/core";
import { CallLimit, RefusalGrace, sdkTarget } from "@kc/core/adapter";
import { ConcurrencyLimit } from "./concurrency-limit.ts";
import {
  hasOtherKeys,
  isContention,
  isMissing,
  isThrottle,
  refusalsOf,
  toStoreError,
  type Refusal,
} from "./errors.ts";
import type { CheckedOptions, DynamoDBClientLike } from "./options.ts";
import { checkRegion, isArn } from "./region.ts";

/** The maximum number of attempts of throttled and conflicting requests. */
const MAX_ATTEMPTS = 8;
const BASE_BACKOFF_MS = 25;
const MAX_BACKOFF_MS = 500;

/**
 * The store's access to DynamoDB. Each request has a timeout, ends with the caller's signal, and fails with a
 * StoreError.
 */
export class Client {
  readonly table: string;
  /** Limits the concurrent requests of one call. */
  readonly concurrency: ConcurrencyLimit = new ConcurrencyLimit();
  readonly #timeoutMs: number;
  readonly #given: DynamoDBClientLike | undefined;
  #own: DynamoDBClient | undefined;
  /** A missing table gets a grace period too: it is missing while it is being restored. */
  readonly #grace = new RefusalGrace(systemClock, ["STORE_ACCESS_DENIED", "STORE_SCHEMA"]);
  readonly #closing: AbortController = new AbortController();

  constructor({ table, client, timeoutMs }: CheckedOptions) {
    this.table = table;
    this.#given = client;
    this.#timeoutMs = timeoutMs;
    setMaxListeners(0, this.#closing.signal);
  }

  /** @throws StoreError for everything but an abort, which rejects with the signal's reason. */
  async read<Output>(command: object, options?: CallOptions): Promise<Output> {
    return (await this.#send(command, options)) as Output;
  }

  /** Aborts with STORE_CLOSED when the store is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Returns `undefined` if it was written, or the refusals if a condition failed. @throws as `read` does */
  async write(command: object, options?: CallOptions): Promise<readonly Refusal[] | undefined> {
    try {
      await this.#send(command, options);
      return undefined;
    } catch (error) {
      const refusals = error instanceof StoreError ? refusalsOf(error.cause) : undefined;
      if (refusals === undefined) throw error;
      return refusals;
    }
  }

  /** Returns the output of a conditional update, or `undefined` if its condition failed. @throws as `read` does */
  async update<Output>(command: object, options?: CallOptions): Promise<Output | undefined> {
    try {
      return (await this.#send(command, options)) as Output;
    } catch (error) {
      if (error instanceof StoreError && refusalsOf(error.cause) !== undefined) return undefined;
      throw error;
    }
  }

  /** Idempotent. Calls in flight reject with STORE_CLOSED. */
  close(): void {
    this.#closing.abort(
      new StoreError("STORE_CLOSED", `DynamoDB table ${this.table}: the store was disposed`),
    );
    this.#own?.destroy();
  }

  async #send(command: object, { signal }: CallOptions = {}): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const output = await this.#request(command, signal);
        this.concurrency.answered();
        return output;
      } catch (error) {
        if (error instanceof StoreError && isThrottle(error.cause)) this.concurrency.throttled();
        const contention = error instanceof StoreError && isContention(error.cause);
        if (!contention || attempt === MAX_ATTEMPTS) throw error;
      }
      await backOff(attempt, signal);
    }
  }

  /** Ends at the timeout even if the client ignores the signal. The SDK closes the connection of an aborted call. */
  async #request(command: object, signal: AbortSignal | undefined): Promise<unknown> {
    const closing = this.#closing.signal;
    closing.throwIfAborted();
    signal?.throwIfAborted();
    const limit = new CallLimit({
      timeoutMs: this.#timeoutMs,
      onTimeout: () => this.#timedOut(),
      signals: [closing, signal],
    });
    try {
      const client = this.#given ?? (this.#own ??= new DynamoDBClient());
      if (isArn(this.table)) await limit.wait(checkRegion(this.table, client));
      const output = await limit.wait(client.send(command, { abortSignal: limit.signal }));
      this.#grace.answered();
      return output;
    } catch (error) {
      if (limit.signal.aborted) throw limit.signal.reason;
      if (refusalsOf(error) !== undefined) this.#grace.answered();
      const client = this.#given ?? this.#own;
      const target = client && isMissing(error) ? await sdkTarget(client) : undefined;
      const failure = toStoreError(error, this.table, target);
      throw hasOtherKeys(error) ? failure : this.#grace.weigh(failure);
    } finally {
      limit.stop();
    }
  }

  #timedOut(): StoreError {
    return new StoreError(
      "STORE_UNAVAILABLE",
      `DynamoDB table ${this.table}: no answer within ${this.#timeoutMs} ms`,
      { retryable: true },
    );
  }
}

/** Exponential backoff with full jitter. */
async function backOff(attempt: number, signal: AbortSignal | undefined): Promise<void> {
  const bound = Math.min(MAX_BACKOFF_MS, BASE_BACKOFF_MS * 2 ** (attempt - 1));
  const ms = Math.random() * bound;
  await delay(ms, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
}

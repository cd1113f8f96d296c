import type { TransactionalDeadLetters, TransactionalStore } from "@kc/core";
import { Wire } from "../../wire.ts";
import type { TransactionalStoreHarness } from "../harness.ts";

type AnyCall = (...given: unknown[]) => Promise<unknown>;

/** The store calls of a scan, except those of a group with leases. */
const CALLS = [
  "openApplication",
  "getCheckpoint",
  "getCheckpoints",
  "setCheckpoint",
  "setCheckpoints",
  "transact",
];

/** Called between a process and its store. */
export interface Between {
  /** Called before a call and after its answer; it may throw, or resolve late, or never. */
  point(call: string): Promise<void>;
}

/** Runs successive processes: a handle of the store over a separate network. */
export class Machine implements AsyncDisposable {
  readonly store: TransactionalStore;
  readonly letters: TransactionalDeadLetters | undefined;
  /** `undefined` if the store has no server (a file, or memory). */
  readonly wire: Wire | undefined;
  between: Between | undefined;
  /** Transactions without an answer of the store yet. */
  readonly #running = new Set<Promise<unknown>>();

  private constructor(
    store: TransactionalStore,
    letters: TransactionalDeadLetters | undefined,
    wire: Wire | undefined,
  ) {
    this.store = store;
    this.letters = letters;
    this.wire = wire;
    for (const name of CALLS) {
      const call = (Reflect.get(store, name) as AnyCall).bind(store);
      Reflect.set(store, name, (...given: unknown[]) => this.#through(name, () => call(...given)));
    }
  }

  static async open(harness: TransactionalStoreHarness): Promise<Machine> {
    const { servers = [] } = harness;
    const wire = servers.length === 0 ? undefined : await Wire.open(servers);
    const store = await (wire === undefined ? harness.open() : harness.openAt!(wire.addresses));
    return new Machine(store, await harness.letters?.(store), wire);
  }

  /** Resolves when the store has answered all transactions. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.wire?.restore();
    await this.store[Symbol.asyncDispose]();
    await this.wire?.close();
  }

  async #through(name: string, call: () => Promise<unknown>): Promise<unknown> {
    const { between } = this;
    await between?.point(`before ${name}`);
    const answer = call();
    if (name === "transact") {
      const running = answer.catch(() => undefined).finally(() => this.#running.delete(running));
      this.#running.add(running);
    }
    const value = await answer;
    await between?.point(`after ${name}`);
    return value;
  }
}

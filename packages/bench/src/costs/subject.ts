import type { LeaseStore } from "@kc/core";

/** Counters that only grow, by what they count. */
export type Counts = Readonly<Record<string, number>>;

/** A server to measure a store on. */
export interface Subject extends AsyncDisposable {
  /** Where it listens; undefined = nowhere, it is a file. */
  readonly url: string | undefined;
  /** A store at that URL, the server's own or a relay's. */
  readonly open: (url: string | undefined) => LeaseStore;
  /** What the server, or a client of it, has counted so far. */
  readonly meter: () => Promise<Counts>;
  /**
   * A store that runs each change in a transaction first, which is rolled back: `take` returns how many
   * rows those held locked since the last time.
   */
  readonly locks?: { readonly open: () => LeaseStore; readonly take: () => number };
  /** What is reported once, at the end. */
  readonly closing?: () => Promise<object>;
}

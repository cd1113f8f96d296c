import type { LeaseStore } from "@kc/core";

/** Monotonic counters, by name. */
export type Counts = Readonly<Record<string, number>>;

/** A server on which a store is measured. */
export interface Subject extends AsyncDisposable {
  /** Its URL; `undefined` for a file. */
  readonly url: string | undefined;
  /** Opens a store at a URL, the server's own or a relay's. */
  readonly open: (url: string | undefined) => LeaseStore;
  /** The current counts of the server, or of a client. */
  readonly meter: () => Promise<Counts>;
  /**
   * A store that first runs each change in a transaction that is rolled back; `take` returns how
   * many rows these had locked since the last call.
   */
  readonly locks?: { readonly open: () => LeaseStore; readonly take: () => number };
  /** Results that are reported once at the end. */
  readonly closing?: () => Promise<object>;
}

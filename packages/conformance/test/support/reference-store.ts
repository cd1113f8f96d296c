import {
  checkpointAt,
  compareCheckpoints,
  LeaseLostError,
  StoreError,
  type ApplicationRow,
  type BulkCheckpointResult,
  type CallOptions,
  type Checkpoint,
  type CheckpointWrite,
  type Fence,
  type SetCheckpointResult,
  type Store,
  type StoreCapabilities,
  type StoreScope,
} from "@kc/core";
import type { StoreHarness } from "../../src/index.ts";
import type { OperationName } from "../../src/store/operations.ts";

/** A database server: rows of text, and a connection that can break. */
export class ReferenceServer {
  checkpoints: Map<string, string> = new Map();
  applications: Map<string, string> = new Map();
  leases: Map<string, Fence> = new Map();
  /** The keys of shards that another transaction has locked. */
  locked: Set<string> = new Set();
  reachable = true;
}

const TIMES = new Set(["startedAt", "streamCreationTimestamp", "timestamp"]);

/** One round trip: others get their turn. */
export const roundTrip = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * A remote store that keeps every promise, in small steps: each mutant breaks one of them. Keys are
 * scope + shard, rows are JSON.
 */
export class ReferenceStore implements Store {
  readonly capabilities: StoreCapabilities = {
    leases: false,
    fences: true,
    flushIntervalMs: 1000,
    flush: "together",
    maxAheadBytes: 1000,
  };
  readonly server: ReferenceServer;
  closed = false;

  constructor(server: ReferenceServer) {
    this.server = server;
  }

  async setup(options?: CallOptions): Promise<void> {
    await this.enter("setup", options);
  }

  async openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    await this.enter("openApplication", options);
    const key = this.scopeKey(scope);
    const existing = this.server.applications.get(key);
    if (existing !== undefined) return { outcome: "existing", row: this.decodeRow(existing) };
    this.server.applications.set(key, this.encodeRow(row));
    return { outcome: "created", row: this.decodeRow(this.encodeRow(row)) };
  }

  async getCheckpoint(
    scope: StoreScope,
    shardId: string,
    options?: CallOptions,
  ): Promise<Checkpoint | undefined> {
    await this.enter("getCheckpoint", options);
    return this.read(this.shardKey(scope, shardId));
  }

  async getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    await this.enter("getCheckpoints", options);
    const prefix = `${this.scopeKey(scope)}\n`;
    const found = new Map<string, Checkpoint>();
    for (const [key, text] of this.server.checkpoints) {
      if (key.startsWith(prefix)) found.set(key.slice(prefix.length), this.decode(text));
    }
    return found;
  }

  async setCheckpoint(
    scope: StoreScope,
    write: CheckpointWrite,
    options?: CallOptions,
  ): Promise<SetCheckpointResult> {
    await this.enter("setCheckpoint", options);
    const result = this.advance(scope, write);
    if (result.outcome === "failed") throw result.error;
    if (result.outcome !== "lease-lost") return result;
    throw new LeaseLostError(write.shardId, "the store has another fence");
  }

  async setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options?: CallOptions,
  ): Promise<readonly BulkCheckpointResult[]> {
    await this.enter("setCheckpoints", options);
    return writes.map((write) => this.advance(scope, write));
  }

  async resetCheckpoint(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options?: CallOptions & { readonly force?: boolean },
  ): Promise<void> {
    await this.enter("resetCheckpoint", options);
    const key = this.shardKey(scope, shardId);
    if (this.server.leases.has(key) && options?.force !== true) {
      throw new LeaseLostError(shardId, "it is held");
    }
    this.server.leases.delete(key);
    if (to === undefined) this.server.checkpoints.delete(key);
    else this.server.checkpoints.set(key, this.encode(to));
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What every operation does first. */
  async enter(_operation: OperationName | "setup", options?: CallOptions): Promise<void> {
    this.checkOpen();
    options?.signal?.throwIfAborted();
    await roundTrip();
    this.checkReachable();
  }

  checkOpen(): void {
    if (this.closed) throw new StoreError("STORE_CLOSED", "the store was disposed");
  }

  checkReachable(): void {
    if (this.server.reachable) return;
    throw new StoreError("STORE_UNAVAILABLE", "the server cannot be reached", { retryable: true });
  }

  /** Reads, compares and writes in one step, as a database does under a row's lock. */
  advance(
    scope: StoreScope,
    { shardId, checkpoint, fence }: CheckpointWrite,
  ): BulkCheckpointResult {
    const key = this.shardKey(scope, shardId);
    if (this.server.locked.has(key)) return { outcome: "failed", error: lockedRow(shardId) };
    if (!this.holds(this.server.leases.get(key), fence)) return { outcome: "lease-lost" };
    const stored = this.read(key);
    const order = stored === undefined ? 1 : this.compare(checkpoint, stored);
    if (stored !== undefined && order <= 0) {
      return { outcome: order === 0 ? "same" : "behind", stored };
    }
    this.server.checkpoints.set(key, this.encode(checkpoint));
    return { outcome: "written", stored: checkpoint };
  }

  /** May a write with this fence, or none, go to a shard with this lease, or none? */
  holds(lease: Fence | undefined, fence: Fence | undefined): boolean {
    return lease?.epoch === fence?.epoch && lease?.owner === fence?.owner;
  }

  compare(a: Checkpoint, b: Checkpoint): number {
    return compareCheckpoints(a, b);
  }

  read(key: string): Checkpoint | undefined {
    const text = this.server.checkpoints.get(key);
    return text === undefined ? undefined : this.decode(text);
  }

  /** What a program reads that knows sequence numbers alone. */
  numberOf(checkpoint: Checkpoint): string {
    const isInside = checkpoint.kind === "position" && checkpoint.subSequenceNumber !== undefined;
    return (isInside ? checkpoint.wholeSequenceNumber : checkpoint.sequenceNumber) ?? "0";
  }

  /** That program's own write. */
  foreignWrite(key: string, sequenceNumber: string): void {
    this.server.checkpoints.set(key, this.encode(checkpointAt({ sequenceNumber })));
  }

  scopeKey({ application, streamName }: StoreScope): string {
    return JSON.stringify([application, streamName]);
  }

  shardKey(scope: StoreScope, shardId: string): string {
    return `${this.scopeKey(scope)}\n${shardId}`;
  }

  encode(checkpoint: Checkpoint): string {
    return JSON.stringify(checkpoint);
  }

  decode(text: string): Checkpoint {
    return JSON.parse(text);
  }

  encodeRow(row: ApplicationRow): string {
    return JSON.stringify(row);
  }

  decodeRow(text: string): ApplicationRow {
    return JSON.parse(text, (key, value) => (TIMES.has(key) ? new Date(value) : value));
  }
}

function lockedRow(shardId: string): StoreError {
  const text = "another transaction has locked the row";
  return new StoreError("STORE_UNAVAILABLE", text, { retryable: true, shardId });
}

/** The manifest's other answer: it knows nothing of fences. */
export class FencelessStore extends ReferenceStore {
  override readonly capabilities: StoreCapabilities = {
    leases: false,
    fences: false,
    flushIntervalMs: 1000,
    flush: "spread",
  };

  override holds(): boolean {
    return true;
  }
}

export type ReferenceStoreClass = new (server: ReferenceServer) => ReferenceStore;

/** A harness on a server of its own, with stores of the class given. */
export function referenceHarness(
  Class: ReferenceStoreClass = ReferenceStore,
  server: ReferenceServer = new ReferenceServer(),
): StoreHarness {
  return {
    open: async () => new Class(server),
    async breakConnection() {
      server.reachable = false;
    },
    async restore() {
      server.reachable = true;
    },
    async grantLease(scope, shardId, fence) {
      server.leases.set(new Class(server).shardKey(scope, shardId), fence);
    },
    async lockRow(scope, shardId) {
      const key = new Class(server).shardKey(scope, shardId);
      server.locked.add(key);
      return async () => void server.locked.delete(key);
    },
    byNumber: {
      async read(scope, shardId) {
        const store = new Class(server);
        const stored = store.read(store.shardKey(scope, shardId));
        return stored && store.numberOf(stored);
      },
      async write(scope, shardId, sequenceNumber) {
        const store = new Class(server);
        store.foreignWrite(store.shardKey(scope, shardId), sequenceNumber);
      },
    },
    openOnBorrowedClient: async () => ({
      store: new Class(server),
      clientWorks: async () => server.reachable,
    }),
    async [Symbol.asyncDispose]() {
      server.checkpoints.clear();
    },
  };
}

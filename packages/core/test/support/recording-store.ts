import {
  MemoryStore,
  MemoryStoreData,
  type ApplicationRow,
  type BulkCheckpointResult,
  type CallOptions,
  type Checkpoint,
  type CheckpointWrite,
  type Clock,
  type SetCheckpointResult,
  type Store,
  type StoreError,
  type StoreCapabilities,
  type StoreScope,
} from "../../src/index.ts";

export type Operation = "openApplication" | "getCheckpoints" | "setCheckpoints";

/** What a call does in place of just answering. */
export type Behaviour = <Answer>(answer: () => Promise<Answer>) => Promise<Answer>;

export interface BulkWrite {
  /** By the clock that the store was given. */
  readonly at: number;
  readonly writes: readonly CheckpointWrite[];
}

/**
 * A MemoryStore that writes down what it was asked, and misbehaves when a test wants it to. Two of
 * them on the same data are two processes on one database.
 */
export class RecordingStore implements Store {
  readonly capabilities: StoreCapabilities;
  readonly data: MemoryStoreData;
  /** Every bulk write that reached the store, whatever became of it. */
  readonly bulkWrites: BulkWrite[] = [];
  /** The shards whose writes fail by themselves, and what each fails with. */
  readonly failing = new Map<string, StoreError>();
  readonly #inner: MemoryStore;
  readonly #clock: Clock;
  readonly #counts = new Map<Operation, number>();
  readonly #behaviours: {
    readonly operation: Operation;
    left: number;
    readonly act: Behaviour;
    readonly of: (writes: readonly CheckpointWrite[]) => boolean;
  }[] = [];

  constructor(clock: Clock, options: Partial<StoreCapabilities> & { data?: MemoryStoreData } = {}) {
    const { data = new MemoryStoreData(), ...capabilities } = options;
    this.#clock = clock;
    this.data = data;
    this.#inner = new MemoryStore({ data });
    this.capabilities = { ...this.#inner.capabilities, ...capabilities };
  }

  /**
   * The next `times` calls of an operation behave like this; returns what ends it.
   * @param of which calls, by their writes
   */
  let(
    operation: Operation,
    act: Behaviour,
    times = Infinity,
    of: (writes: readonly CheckpointWrite[]) => boolean = () => true,
  ): () => void {
    const behaviour = { operation, left: times, act, of };
    this.#behaviours.push(behaviour);
    return () => void (behaviour.left = 0);
  }

  countOf(operation: Operation): number {
    return this.#counts.get(operation) ?? 0;
  }

  /** What was to be written for a shard, in order: `1`, `2`, … for sequence numbers told, or `end`. */
  writesOf(shardId: string): Checkpoint[] {
    return this.bulkWrites
      .flatMap(({ writes }) => writes)
      .filter((write) => write.shardId === shardId)
      .map(({ checkpoint }) => checkpoint);
  }

  /** What stands in the store for the one application of the test. */
  stored(shardId: string): Checkpoint | undefined {
    const scope = { application: "billing", streamName: "orders" };
    return this.data.application(scope).shards.get(shardId)?.checkpoint;
  }

  openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): ReturnType<MemoryStore["openApplication"]> {
    return this.#call("openApplication", () => this.#inner.openApplication(scope, row, options));
  }

  getCheckpoint(scope: StoreScope, shardId: string): Promise<Checkpoint | undefined> {
    return this.#inner.getCheckpoint(scope, shardId);
  }

  getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    return this.#call("getCheckpoints", () => this.#inner.getCheckpoints(scope, options));
  }

  setCheckpoint(scope: StoreScope, write: CheckpointWrite): Promise<SetCheckpointResult> {
    return this.#inner.setCheckpoint(scope, write);
  }

  setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
  ): Promise<readonly BulkCheckpointResult[]> {
    this.bulkWrites.push({ at: this.#clock.monotonic(), writes });
    const write = async (): Promise<readonly BulkCheckpointResult[]> => {
      const passing = writes.filter(({ shardId }) => !this.failing.has(shardId));
      const results = [...(await this.#inner.setCheckpoints(scope, passing))];
      return writes.map(({ shardId }) => {
        const error = this.failing.get(shardId);
        return error === undefined ? results.shift()! : { outcome: "failed", error };
      });
    };
    return this.#call("setCheckpoints", write, writes);
  }

  resetCheckpoint(scope: StoreScope, shardId: string, to: Checkpoint | undefined): Promise<void> {
    return this.#inner.resetCheckpoint(scope, shardId, to);
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  async #call<Answer>(
    operation: Operation,
    answer: () => Promise<Answer>,
    writes: readonly CheckpointWrite[] = [],
  ): Promise<Answer> {
    this.#counts.set(operation, this.countOf(operation) + 1);
    const behaviour = this.#behaviours.find(
      (one) => one.operation === operation && one.left > 0 && one.of(writes),
    );
    if (behaviour === undefined) return answer();
    behaviour.left -= 1;
    return behaviour.act(answer);
  }
}

/** The call rejects; nothing is written. */
export function failing(error: unknown): Behaviour {
  return () => Promise.reject(error);
}

/** The call never settles; nothing is written. */
export const hanging: Behaviour = () => new Promise(() => {});

/** The call is carried out, but its reply is lost. */
export function lostReply(error: unknown): Behaviour {
  return async (answer) => {
    await answer();
    throw error;
  };
}

/** The call is carried out and answered so much later. */
export function late(clock: Clock, ms: number): Behaviour {
  return async (answer) => {
    await new Promise<void>((resolve) => void clock.setTimer(resolve, ms));
    return answer();
  };
}

/** The call answers with something else; nothing is written. */
export function answering(value: unknown): Behaviour {
  return <Answer>() => Promise.resolve(value as Answer);
}

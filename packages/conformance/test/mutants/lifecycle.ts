import {
  StoreError,
  type ApplicationRow,
  type CallOptions,
  type Checkpoint,
  type StoreScope,
} from "@kc/core";
import { OPERATION_NAMES, type OperationName } from "../../src/store/operations.ts";
import { mutant, type Mutant } from "../support/mutant.ts";
import { ReferenceStore, roundTrip } from "../support/reference-store.ts";

const perOperation = (make: (broken: OperationName) => readonly Mutant[]): readonly Mutant[] =>
  OPERATION_NAMES.flatMap(make);

export const closedMutants = perOperation((broken) => [
  mutant(
    `answers ${broken} after dispose`,
    `closed.${broken}`,
    class extends ReferenceStore {
      override async enter(operation: OperationName, options?: CallOptions): Promise<void> {
        if (operation !== broken) return super.enter(operation, options);
        options?.signal?.throwIfAborted();
        this.checkReachable();
      }
    },
  ),
  mutant(
    `throws an error of its driver for ${broken} after dispose`,
    `closed.${broken}`,
    class extends ReferenceStore {
      override async enter(operation: OperationName, options?: CallOptions): Promise<void> {
        if (operation === broken && this.closed) throw new Error("Connection is closed.");
        await super.enter(operation, options);
      }
    },
  ),
]);

export const abortMutants = perOperation((broken) => [
  mutant(
    `does not look at the signal of ${broken}`,
    `abort.${broken}`,
    class extends ReferenceStore {
      override enter(operation: OperationName, options?: CallOptions): Promise<void> {
        return super.enter(operation, operation === broken ? undefined : options);
      }
    },
  ),
  mutant(
    `wraps the reason for which ${broken} was aborted`,
    `abort.${broken}`,
    class extends ReferenceStore {
      override async enter(operation: OperationName, options?: CallOptions): Promise<void> {
        if (operation === broken && options?.signal?.aborted === true) {
          throw new StoreError("STORE_FAILED", "aborted", { cause: options.signal.reason });
        }
        await super.enter(operation, options);
      }
    },
  ),
]);

/** Writes first and looks at the signal afterwards. */
export const lateAbortMutants: readonly Mutant[] = [
  mutant(
    "opens the application, then looks at the signal",
    "abort.openApplication",
    class extends ReferenceStore {
      override async openApplication(
        scope: StoreScope,
        row: ApplicationRow,
        options?: CallOptions,
      ) {
        const answer = await super.openApplication(scope, row);
        options?.signal?.throwIfAborted();
        return answer;
      }
    },
  ),
  mutant(
    "resets the checkpoint, then looks at the signal",
    "abort.resetCheckpoint",
    class extends ReferenceStore {
      override async resetCheckpoint(
        scope: StoreScope,
        shardId: string,
        to: Checkpoint | undefined,
        options?: CallOptions,
      ) {
        await super.resetCheckpoint(scope, shardId, to);
        options?.signal?.throwIfAborted();
      }
    },
  ),
];

export const outageMutants: readonly Mutant[] = [
  ...perOperation((broken) => [
    mutant(
      `calls an outage during ${broken} a lasting failure`,
      `outage.${broken}`,
      class extends ReferenceStore {
        override async enter(operation: OperationName, options?: CallOptions): Promise<void> {
          if (operation === broken && !this.server.reachable) {
            throw new StoreError("STORE_FAILED", "ECONNREFUSED");
          }
          await super.enter(operation, options);
        }
      },
    ),
    mutant(
      `lets the driver's error of ${broken} through`,
      `outage.${broken}`,
      class extends ReferenceStore {
        override async enter(operation: OperationName, options?: CallOptions): Promise<void> {
          if (operation === broken && !this.server.reachable) throw new Error("ECONNREFUSED");
          await super.enter(operation, options);
        }
      },
    ),
    mutant(
      `answers ${broken} out of a cache during an outage`,
      `outage.${broken}`,
      class extends ReferenceStore {
        override async enter(operation: OperationName, options?: CallOptions): Promise<void> {
          if (operation === broken && !this.server.reachable) return;
          await super.enter(operation, options);
        }
      },
    ),
  ]),
  mutant(
    "takes an outage for 'no checkpoint'",
    "outage.getCheckpoint",
    class extends ReferenceStore {
      override getCheckpoint(...call: Parameters<ReferenceStore["getCheckpoint"]>) {
        return this.server.reachable ? super.getCheckpoint(...call) : Promise.resolve(undefined);
      }
    },
  ),
  mutant(
    "reconnects to an empty database",
    "outage.nothing-lost",
    class extends ReferenceStore {
      override checkReachable(): void {
        if (!this.server.reachable) this.server.checkpoints.clear();
        super.checkReachable();
      }
    },
  ),
];

export const disposeMutants: readonly Mutant[] = [
  mutant(
    "closes its client twice",
    "dispose.twice",
    class extends ReferenceStore {
      override async close(): Promise<void> {
        if (this.closed) throw new Error("Called end on pool more than once");
        await super.close();
      }
    },
  ),
  mutant(
    "works after close()",
    "dispose.close",
    class extends ReferenceStore {
      override async close(): Promise<void> {}
      override async [Symbol.asyncDispose](): Promise<void> {
        this.closed = true;
      }
    },
  ),
  mutant(
    "shares one connection between handles, and closes it",
    ["dispose.one-handle", "dispose.borrowed-client"],
    class extends ReferenceStore {
      override async close(): Promise<void> {
        this.server.reachable = false;
        await super.close();
      }
    },
  ),
  mutant(
    "keeps resets to itself",
    "restart.everything",
    class extends ReferenceStore {
      override async resetCheckpoint(): Promise<void> {
        await roundTrip();
      }
    },
  ),
  mutant(
    "drops the last bulk write when it is disposed of",
    "restart.everything",
    class extends ReferenceStore {
      override async close(): Promise<void> {
        await super.close();
        const last = [...this.server.checkpoints.keys()].at(-1);
        if (last !== undefined) this.server.checkpoints.delete(last);
      }
    },
  ),
];

export const setupMutants: readonly Mutant[] = [
  mutant(
    "begins with an empty schema at every setup",
    "setup.again",
    class extends ReferenceStore {
      override async setup(options?: CallOptions): Promise<void> {
        await super.setup(options);
        this.server.checkpoints.clear();
      }
    },
  ),
  mutant(
    "fails at tables that are there",
    "setup.again",
    class extends ReferenceStore {
      override async setup(options?: CallOptions): Promise<void> {
        await super.setup(options);
        throw new StoreError("STORE_FAILED", "table checkpoints already exists");
      }
    },
  ),
  mutant(
    "fails if another process sets up at the same time",
    "setup.at-once",
    class extends ReferenceStore {
      override async setup(options?: CallOptions): Promise<void> {
        await super.setup(options);
        if (settingUp.has(this.server)) throw new StoreError("STORE_FAILED", "duplicate key");
        settingUp.add(this.server);
        await roundTrip();
        settingUp.delete(this.server);
      }
    },
  ),
  mutant(
    "does not look at the signal of setup",
    "setup.refused",
    class extends ReferenceStore {
      override setup(): Promise<void> {
        return super.setup();
      }
    },
  ),
  mutant(
    "sets up after dispose",
    "setup.refused",
    class extends ReferenceStore {
      override async setup(options?: CallOptions): Promise<void> {
        options?.signal?.throwIfAborted();
      }
    },
  ),
];

const settingUp = new WeakSet<object>();

import {
  StoreError,
  type ApplicationRow,
  type CallOptions,
  type Checkpoint,
  type CheckpointWrite,
  type SetCheckpointResult,
  type StoreScope,
} from "@kc/core";
import { mutant, type Mutant } from "../support/mutant.ts";
import { ReferenceStore, roundTrip } from "../support/reference-store.ts";

type Opened = Awaited<ReturnType<ReferenceStore["openApplication"]>>;

export const bulkMutants: readonly Mutant[] = [
  mutant(
    "leaves ended shards out of a bulk read",
    "bulk.read",
    class extends ReferenceStore {
      override async getCheckpoints(...call: Parameters<ReferenceStore["getCheckpoints"]>) {
        const found = await super.getCheckpoints(...call);
        return new Map([...found].filter(([, { kind }]) => kind !== "shard-end"));
      }
    },
  ),
  mutant(
    "answers a bulk write in the order of the shard ids",
    "bulk.outcomes",
    class extends ReferenceStore {
      override setCheckpoints(
        scope: StoreScope,
        writes: readonly CheckpointWrite[],
        options?: CallOptions,
      ) {
        const sorted = writes.toSorted((a, b) => (a.shardId < b.shardId ? -1 : 1));
        return super.setCheckpoints(scope, sorted, options);
      }
    },
  ),
  mutant(
    "leaves writes that are behind out of the answer",
    "bulk.outcomes",
    class extends ReferenceStore {
      override async setCheckpoints(...call: Parameters<ReferenceStore["setCheckpoints"]>) {
        const answers = await super.setCheckpoints(...call);
        return answers.filter(({ outcome }) => outcome !== "behind");
      }
    },
  ),
  mutant(
    "makes a statement without values of an empty list",
    "bulk.empty",
    class extends ReferenceStore {
      override async setCheckpoints(...call: Parameters<ReferenceStore["setCheckpoints"]>) {
        if (call[1].length === 0) throw new SyntaxError("INSERT … VALUES: unexpected end");
        return super.setCheckpoints(...call);
      }
    },
  ),
  mutant(
    "writes the first 500 of a batch",
    "bulk.thousand",
    class extends ReferenceStore {
      override async setCheckpoints(
        scope: StoreScope,
        writes: readonly CheckpointWrite[],
        options?: CallOptions,
      ) {
        const answers = await super.setCheckpoints(scope, writes.slice(0, 500), options);
        return writes.map(({ checkpoint: stored }, index) => {
          return answers[index] ?? ({ outcome: "written", stored } as const);
        });
      }
    },
  ),
  mutant(
    "reads one page of a bulk read",
    "bulk.thousand",
    class extends ReferenceStore {
      override async getCheckpoints(...call: Parameters<ReferenceStore["getCheckpoints"]>) {
        return new Map([...(await super.getCheckpoints(...call))].slice(0, 999));
      }
    },
  ),
  mutant(
    "fails all writes for one locked row",
    "bulk.locked-rows",
    class extends ReferenceStore {
      override async setCheckpoints(...call: Parameters<ReferenceStore["setCheckpoints"]>) {
        const answers = await super.setCheckpoints(...call);
        const failed = answers.find((answer) => answer.outcome === "failed");
        if (failed) throw failed.error;
        return answers;
      }
    },
  ),
  mutant(
    "passes over a locked row and calls its write done",
    "bulk.locked-rows",
    class extends ReferenceStore {
      override async setCheckpoints(...call: Parameters<ReferenceStore["setCheckpoints"]>) {
        const answers = await super.setCheckpoints(...call);
        return answers.map((answer, index) =>
          answer.outcome === "failed"
            ? ({ outcome: "written", stored: call[1][index]!.checkpoint } as const)
            : answer,
        );
      }
    },
  ),
  mutant(
    "takes a locked row for a lost lease",
    "bulk.locked-rows",
    class extends ReferenceStore {
      override async setCheckpoints(...call: Parameters<ReferenceStore["setCheckpoints"]>) {
        const answers = await super.setCheckpoints(...call);
        return answers.map((answer) =>
          answer.outcome === "failed" ? ({ outcome: "lease-lost" } as const) : answer,
        );
      }
    },
  ),
  mutant(
    "forgets a locked row once any other flush has met none",
    "bulk.locked-rows-beside",
    class extends ReferenceStore {
      #meetsLocks = false;

      override async setCheckpoints(...call: Parameters<ReferenceStore["setCheckpoints"]>) {
        const locked = call[1].some(({ shardId }) =>
          this.server.locked.has(this.shardKey(call[0], shardId)),
        );
        const knew = this.#meetsLocks;
        this.#meetsLocks = locked;
        if (locked && !knew) {
          throw new StoreError("STORE_UNAVAILABLE", "a lock's time is over", { retryable: true });
        }
        return super.setCheckpoints(...call);
      }
    },
  ),
];

/** Answers with rows that were changed on their way in. */
function keepsRow(name: string, caughtBy: string, change: (row: ApplicationRow) => object): Mutant {
  return mutant(
    name,
    caughtBy,
    class extends ReferenceStore {
      override decodeRow(text: string): ApplicationRow {
        const row = super.decodeRow(text);
        return Object.assign({ ...row }, change(row));
      }
    },
  );
}

const toSeconds = (date: Date): Date => new Date(Math.floor(date.getTime() / 1000) * 1000);

export const applicationMutants: readonly Mutant[] = [
  mutant(
    "puts every opener's row",
    "application.put-if-absent",
    class extends ReferenceStore {
      override async openApplication(scope: StoreScope, row: ApplicationRow): Promise<Opened> {
        const { outcome } = await super.openApplication(scope, row);
        this.server.applications.set(this.scopeKey(scope), this.encodeRow(row));
        return { outcome, row };
      }
    },
  ),
  mutant(
    "answers with the caller's own row",
    "application.put-if-absent",
    class extends ReferenceStore {
      override async openApplication(scope: StoreScope, row: ApplicationRow): Promise<Opened> {
        return { ...(await super.openApplication(scope, row)), row };
      }
    },
  ),
  mutant(
    "looks for a row, then puts one",
    "application.one-creator",
    class extends ReferenceStore {
      override async openApplication(scope: StoreScope, row: ApplicationRow): Promise<Opened> {
        const there = this.server.applications.has(this.scopeKey(scope));
        await roundTrip();
        if (there) return super.openApplication(scope, row);
        this.server.applications.set(this.scopeKey(scope), this.encodeRow(row));
        return { outcome: "created", row };
      }
    },
  ),
  keepsRow("keeps a start's timestamp as text", "application.start", ({ start }) =>
    typeof start === "string" ? {} : { start: start.timestamp.toISOString() },
  ),
  keepsRow("takes every start for LATEST", "application.start", () => ({ start: "LATEST" })),
  keepsRow("keeps dates to the second", "application.dates", (row) => ({
    startedAt: toSeconds(row.startedAt),
  })),
  keepsRow("keeps dates in the local time of another zone", "application.dates", (row) => ({
    startedAt: new Date(row.startedAt.getTime() + 3_600_000),
  })),
  keepsRow("answers null for no creation time", "application.no-creation-time", (row) => ({
    streamCreationTimestamp: row.streamCreationTimestamp ?? null,
  })),
  keepsRow("answers 0 and 1 for a boolean", "application.migrated", ({ migrated }) => ({
    migrated: Number(migrated),
  })),
];

export const concurrencyMutants: readonly Mutant[] = [
  mutant(
    "reads, compares, then writes",
    "concurrent.one-shard",
    class extends ReferenceStore {
      override async setCheckpoint(
        scope: StoreScope,
        { shardId, checkpoint }: CheckpointWrite,
        options?: CallOptions,
      ): Promise<SetCheckpointResult> {
        const stored = await this.getCheckpoint(scope, shardId, options);
        await roundTrip();
        const order = stored === undefined ? 1 : this.compare(checkpoint, stored);
        if (stored !== undefined && order <= 0) {
          return { outcome: order === 0 ? "same" : "behind", stored };
        }
        this.server.checkpoints.set(this.shardKey(scope, shardId), this.encode(checkpoint));
        return { outcome: "written", stored: checkpoint };
      }
    },
  ),
  mutant(
    "works a refusal's outcome out from a later read",
    "concurrent.one-shard",
    class extends ReferenceStore {
      override async setCheckpoint(
        scope: StoreScope,
        write: CheckpointWrite,
        options?: CallOptions,
      ): Promise<SetCheckpointResult> {
        const { outcome } = await super.setCheckpoint(scope, write, options);
        await roundTrip();
        const stored: Checkpoint = this.read(this.shardKey(scope, write.shardId))!;
        return { outcome, stored };
      }
    },
  ),
  mutant(
    "compares a whole batch before it writes any of it",
    "concurrent.bulk",
    class extends ReferenceStore {
      override async setCheckpoints(
        scope: StoreScope,
        writes: readonly CheckpointWrite[],
        options?: CallOptions,
      ) {
        const before = await this.getCheckpoints(scope, options);
        await roundTrip();
        return writes.map(({ shardId, checkpoint }) => {
          const stored = before.get(shardId);
          const order = stored === undefined ? 1 : this.compare(checkpoint, stored);
          if (stored !== undefined && order <= 0) {
            return { outcome: order === 0 ? "same" : "behind", stored } as const;
          }
          this.server.checkpoints.set(this.shardKey(scope, shardId), this.encode(checkpoint));
          return { outcome: "written", stored: checkpoint } as const;
        });
      }
    },
  ),
];

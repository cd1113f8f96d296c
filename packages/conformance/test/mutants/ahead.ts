import {
  checkpointAt,
  compareCheckpoints,
  comparePositions,
  type Checkpoint,
  type CheckpointWrite,
  type StoreScope,
} from "@kc/core";
import { mutant, type Mutant } from "../support/mutant.ts";
import { ReferenceStore } from "../support/reference-store.ts";

const aheadOf = (checkpoint: Checkpoint | undefined): string | undefined =>
  checkpoint?.kind === "position" ? checkpoint.ahead : undefined;

const having = (checkpoint: Checkpoint, ahead: string | undefined): Checkpoint =>
  checkpoint.kind === "position" ? checkpointAt(checkpoint, ahead) : checkpoint;

const isOnePosition = (a: Checkpoint, b: Checkpoint): boolean =>
  a.kind === "position" && b.kind === "position" && comparePositions(a, b) === 0;

/** Changes what is written, given what stands. */
function writing(
  name: string,
  caughtBy: string | readonly string[],
  change: (checkpoint: Checkpoint, stood: Checkpoint | undefined) => Checkpoint,
): Mutant {
  return mutant(
    name,
    caughtBy,
    class extends ReferenceStore {
      override advance(scope: StoreScope, write: CheckpointWrite) {
        const key = this.shardKey(scope, write.shardId);
        const stood = this.read(key);
        const result = super.advance(scope, write);
        if (result.outcome === "written") {
          this.server.checkpoints.set(key, this.encode(change(write.checkpoint, stood)));
        }
        return result;
      }
    },
  );
}

/** Orders the texts of one position in another way. */
function ordering(
  name: string,
  compare: (a: string, b: string) => number,
  caughtBy = "ahead.order",
): Mutant {
  return mutant(
    name,
    caughtBy,
    class extends ReferenceStore {
      override compare(a: Checkpoint, b: Checkpoint): number {
        if (!isOnePosition(a, b)) return compareCheckpoints(a, b);
        return compare(aheadOf(a) ?? "", aheadOf(b) ?? "");
      }
    },
  );
}

export const aheadMutants: readonly Mutant[] = [
  writing("loses what is done beyond a position", ["ahead.kept", "ahead.bulk"], (checkpoint) =>
    having(checkpoint, undefined),
  ),
  writing("cuts it to the 255 characters of its column", "ahead.kept", (checkpoint) =>
    having(checkpoint, aheadOf(checkpoint)?.slice(0, 255)),
  ),
  writing("keeps it beside the next position", "ahead.belongs", (checkpoint, stood) =>
    having(checkpoint, aheadOf(checkpoint) ?? aheadOf(stood)),
  ),
  writing("keeps it while the number is the same", "ahead.belongs", (checkpoint, stood) =>
    having(
      checkpoint,
      aheadOf(checkpoint) ??
        (stood?.sequenceNumber === checkpoint.sequenceNumber ? aheadOf(stood) : undefined),
    ),
  ),
  ordering("takes all texts of one position for the same", () => 0),
  ordering("lets the last text win", (a, b) => (a === b ? 0 : 1)),
  ordering("ignores case", (a, b) =>
    a.toLowerCase() < b.toLowerCase() ? -1 : Number(a.toLowerCase() !== b.toLowerCase()),
  ),
  ordering("takes the longer text for the later one", (a, b) => a.length - b.length),
  mutant(
    "compares it with a text that belongs to another position",
    "ahead.belongs",
    class extends ReferenceStore {
      override compare(a: Checkpoint, b: Checkpoint): number {
        const order = compareCheckpoints(a, b);
        return order > 0 && (aheadOf(a) ?? "~") < (aheadOf(b) ?? "") ? -1 : order;
      }
    },
  ),
  mutant(
    "keeps it over a reset",
    "ahead.reset",
    class extends ReferenceStore {
      override async resetCheckpoint(
        ...[scope, shardId, to, options]: Parameters<ReferenceStore["resetCheckpoint"]>
      ) {
        const ahead = aheadOf(this.read(this.shardKey(scope, shardId)));
        const kept = to && having(to, aheadOf(to) ?? ahead);
        await super.resetCheckpoint(scope, shardId, kept, options);
      }
    },
  ),
  mutant(
    "takes it from a writer whose lease is lost",
    "ahead.fenced",
    class extends ReferenceStore {
      override advance(scope: StoreScope, write: CheckpointWrite) {
        const key = this.shardKey(scope, write.shardId);
        const stood = this.read(key);
        const result = super.advance(scope, write);
        if (result.outcome === "lease-lost" && stood && isOnePosition(stood, write.checkpoint)) {
          this.server.checkpoints.set(key, this.encode(write.checkpoint));
        }
        return result;
      }
    },
  ),
];

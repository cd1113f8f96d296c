import { checkpointAt, compareSequenceNumbers, type Checkpoint } from "@kc/core";
import { mutant, type Mutant } from "../support/mutant.ts";
import { ReferenceStore } from "../support/reference-store.ts";

type Inside = Extract<Checkpoint, { kind: "position" }>;

const isInside = (checkpoint: Checkpoint | undefined): checkpoint is Inside =>
  checkpoint?.kind === "position" && checkpoint.subSequenceNumber !== undefined;

/** Changes what is kept of a position inside an aggregate. */
function keeping(
  name: string,
  caughtBy: string | readonly string[],
  change: (checkpoint: Inside) => Checkpoint,
): Mutant {
  return mutant(
    name,
    caughtBy,
    class extends ReferenceStore {
      override encode(checkpoint: Checkpoint): string {
        return super.encode(isInside(checkpoint) ? change(checkpoint) : checkpoint);
      }
    },
  );
}

export const insideMutants: readonly Mutant[] = [
  mutant(
    "gives others the number of an aggregate that is done in part",
    ["inside.number", "inside.unknown", "inside.bulk", "inside.reset"],
    class extends ReferenceStore {
      override numberOf(checkpoint: Checkpoint): string {
        return checkpoint.sequenceNumber ?? "0";
      }
    },
  ),
  keeping("keeps the last whole record alone", "inside.number", (checkpoint) =>
    checkpointAt({ sequenceNumber: checkpoint.wholeSequenceNumber ?? "0" }),
  ),
  keeping("forgets the last whole record", "inside.number", (checkpoint) => {
    const { sequenceNumber, subSequenceNumber } = checkpoint;
    return checkpointAt({ sequenceNumber, subSequenceNumber: subSequenceNumber! });
  }),
  mutant(
    "orders by the numbers that others read",
    "inside.order",
    class extends ReferenceStore {
      override compare(a: Checkpoint, b: Checkpoint): number {
        return compareSequenceNumbers(this.numberOf(a), this.numberOf(b)) || super.compare(a, b);
      }
    },
  ),
  mutant(
    "takes another last whole record for progress",
    "inside.order",
    class extends ReferenceStore {
      override compare(a: Checkpoint, b: Checkpoint): number {
        return super.compare(a, b) || compareSequenceNumbers(this.numberOf(a), this.numberOf(b));
      }
    },
  ),
  mutant(
    "believes the position beside another program's number",
    "inside.foreign",
    class extends ReferenceStore {
      override foreignWrite(key: string, sequenceNumber: string): void {
        const stood = this.read(key);
        super.foreignWrite(key, sequenceNumber);
        if (isInside(stood)) this.server.checkpoints.set(key, this.encode(stood));
      }
    },
  ),
  mutant(
    "keeps the last whole record over a reset",
    "inside.reset",
    class extends ReferenceStore {
      override async resetCheckpoint(
        ...[scope, shardId, to, options]: Parameters<ReferenceStore["resetCheckpoint"]>
      ) {
        const stood = this.read(this.shardKey(scope, shardId));
        const kept =
          isInside(to) && isInside(stood)
            ? checkpointAt({ ...to, wholeSequenceNumber: stood.wholeSequenceNumber })
            : to;
        await super.resetCheckpoint(scope, shardId, kept, options);
      }
    },
  ),
];

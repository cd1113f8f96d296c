import {
  checkpointAt,
  compareCheckpoints,
  SHARD_END,
  shardEndAt,
  type Checkpoint,
  type CheckpointWrite,
  type StoreScope,
} from "@kc/core";
import { mutant, type Mutant } from "../support/mutant.ts";
import { ReferenceStore } from "../support/reference-store.ts";

const numberOf = (checkpoint: Checkpoint): string =>
  checkpoint.kind === "shard-end" ? "9".repeat(129) : checkpoint.sequenceNumber;

const subOf = (checkpoint: Checkpoint): number | undefined =>
  checkpoint.kind === "shard-end" ? undefined : checkpoint.subSequenceNumber;

/** The true order, except between positions of one number. */
const compareWith =
  (compareSub: (a: number | undefined, b: number | undefined) => number) =>
  (a: Checkpoint, b: Checkpoint): number =>
    numberOf(a) === numberOf(b) ? compareSub(subOf(a), subOf(b)) : compareCheckpoints(a, b);

class ComparesWith extends ReferenceStore {
  constructor(server: ReferenceStore["server"], compare: (a: Checkpoint, b: Checkpoint) => number) {
    super(server);
    this.compare = compare;
  }
}

function comparing(
  name: string,
  caughtBy: string,
  compare: (a: Checkpoint, b: Checkpoint) => number,
): Mutant {
  return mutant(
    `compares ${name}`,
    caughtBy,
    class extends ComparesWith {
      constructor(server: ReferenceStore["server"]) {
        super(server, compare);
      }
    },
  );
}

export const checkpointMutants: readonly Mutant[] = [
  comparing(
    "as doubles",
    "checkpoint.big-numbers",
    (a, b) => Number(numberOf(a)) - Number(numberOf(b)),
  ),
  comparing("as text", "checkpoint.number-length", (a, b) =>
    numberOf(a) === numberOf(b) ? 0 : numberOf(a) < numberOf(b) ? -1 : 1,
  ),
  comparing(
    "numbers alone",
    "checkpoint.sub-sequence-order",
    compareWith(() => 0),
  ),
  comparing(
    "a whole record as its first user record",
    "checkpoint.sub-sequence-order",
    compareWith((a = -1, b = -1) => a - b),
  ),
  comparing(
    "sub-sequence numbers as text",
    "checkpoint.sub-sequence-order",
    compareWith((a, b) => (String(a ?? "x") < String(b ?? "x") ? -1 : Number(a !== b))),
  ),
  comparing("a shard's end as nothing", "checkpoint.shard-end-final", (a, b) =>
    b.kind === "shard-end" ? Number(a.kind !== "shard-end") : compareCheckpoints(a, b),
  ),
  comparing("same as behind", "checkpoint.same", (a, b) => compareCheckpoints(a, b) || -1),
  comparing("same as forward", "checkpoint.same", (a, b) => compareCheckpoints(a, b) || 1),
  comparing("nothing: the last write wins", "checkpoint.behind", (a, b) =>
    compareCheckpoints(a, b) === 0 ? 0 : 1,
  ),
  mutant(
    "takes none for the beginning of the shard",
    "checkpoint.none",
    class extends ReferenceStore {
      override read(key: string): Checkpoint {
        return super.read(key) ?? checkpointAt({ sequenceNumber: "0" });
      }
    },
  ),
  mutant(
    "finds a shard by the beginning of its name",
    "checkpoint.none",
    class extends ReferenceStore {
      override read(key: string): Checkpoint | undefined {
        const found = [...this.server.checkpoints.keys()].find((stored) => key.startsWith(stored));
        return super.read(found ?? key);
      }
    },
  ),
  mutant(
    "acknowledges without writing",
    "checkpoint.written",
    class extends ReferenceStore {
      override advance(_scope: StoreScope, { checkpoint }: CheckpointWrite) {
        return { outcome: "written", stored: checkpoint } as const;
      }
    },
  ),
  mutant(
    "keeps numbers as doubles",
    "checkpoint.big-numbers",
    class extends ReferenceStore {
      override encode(checkpoint: Checkpoint): string {
        if (checkpoint.kind === "shard-end") return super.encode(checkpoint);
        const sequenceNumber = String(BigInt(Number(checkpoint.sequenceNumber)));
        return super.encode({ ...checkpoint, sequenceNumber });
      }
    },
  ),
  mutant(
    "cuts numbers to the 65 digits of its column",
    "checkpoint.longest-numbers",
    class extends ReferenceStore {
      override encode(checkpoint: Checkpoint): string {
        if (checkpoint.kind === "shard-end") return super.encode(checkpoint);
        const sequenceNumber = checkpoint.sequenceNumber.slice(0, 65);
        return super.encode({ ...checkpoint, sequenceNumber });
      }
    },
  ),
  mutant(
    "loses sub-sequence numbers",
    "checkpoint.sub-sequence-kept",
    class extends ReferenceStore {
      override encode(checkpoint: Checkpoint): string {
        if (checkpoint.kind === "shard-end") return super.encode(checkpoint);
        return super.encode(checkpointAt({ sequenceNumber: checkpoint.sequenceNumber }));
      }
    },
  ),
  mutant(
    "takes sub-sequence number 0 for none",
    "checkpoint.sub-sequence-kept",
    class extends ReferenceStore {
      override encode(checkpoint: Checkpoint): string {
        if (checkpoint.kind === "shard-end" || checkpoint.subSequenceNumber !== 0) {
          return super.encode(checkpoint);
        }
        return super.encode(checkpointAt({ sequenceNumber: checkpoint.sequenceNumber }));
      }
    },
  ),
  mutant(
    "answers null for no sub-sequence number",
    "checkpoint.sub-sequence-kept",
    class extends ReferenceStore {
      override decode(text: string): Checkpoint {
        return Object.assign({ subSequenceNumber: null }, super.decode(text));
      }
    },
  ),
  mutant(
    "keeps a shard's end as a position with a magic number",
    "checkpoint.shard-end",
    class extends ReferenceStore {
      override decode(text: string): Checkpoint {
        const checkpoint = super.decode(text);
        return checkpoint.kind === "shard-end"
          ? checkpointAt({ sequenceNumber: "SHARD_END" })
          : checkpoint;
      }
    },
  ),
  mutant(
    "leaves the number that stood there beside a shard's end",
    "checkpoint.shard-end-number",
    class extends ReferenceStore {
      override advance(scope: StoreScope, write: CheckpointWrite) {
        if (write.checkpoint.kind === "position") return super.advance(scope, write);
        const before = this.read(this.shardKey(scope, write.shardId));
        return super.advance(scope, { ...write, checkpoint: shardEndAt(before?.sequenceNumber) });
      }
    },
  ),
];

export const resetMutants: readonly Mutant[] = [
  mutant(
    "resets forward only",
    "reset.back",
    class extends ReferenceStore {
      override async resetCheckpoint(...[scope, shardId, to, options]: ResetArguments) {
        if (to === undefined) return super.resetCheckpoint(scope, shardId, to, options);
        await this.enter("resetCheckpoint", options);
        this.advance(scope, { shardId, checkpoint: to });
      }
    },
  ),
  mutant(
    "resets only a row that is there",
    "reset.forward",
    class extends ReferenceStore {
      override async resetCheckpoint(...[scope, shardId, to, options]: ResetArguments) {
        if (this.read(this.shardKey(scope, shardId)) === undefined) return;
        await super.resetCheckpoint(scope, shardId, to, options);
      }
    },
  ),
  mutant(
    "keeps the row when the checkpoint is removed",
    "reset.none",
    class extends ReferenceStore {
      override async resetCheckpoint(...[scope, shardId, to, options]: ResetArguments) {
        const removed = checkpointAt({ sequenceNumber: "0" });
        await super.resetCheckpoint(scope, shardId, to ?? removed, options);
      }
    },
  ),
  mutant(
    "never reopens an ended shard",
    "reset.shard-end",
    class extends ReferenceStore {
      override async resetCheckpoint(...[scope, shardId, to, options]: ResetArguments) {
        await this.enter("resetCheckpoint", options);
        if (this.read(this.shardKey(scope, shardId))?.kind === SHARD_END.kind) return;
        await super.resetCheckpoint(scope, shardId, to, options);
      }
    },
  ),
  mutant(
    "removes every shard of the application",
    "reset.one-shard",
    class extends ReferenceStore {
      override async resetCheckpoint(...[scope, shardId, to, options]: ResetArguments) {
        if (to !== undefined) return super.resetCheckpoint(scope, shardId, to, options);
        for (const key of this.server.checkpoints.keys()) {
          if (key.startsWith(this.shardKey(scope, ""))) this.server.checkpoints.delete(key);
        }
      }
    },
  ),
  mutant(
    "resets the shard in every application",
    "reset.one-shard",
    class extends ReferenceStore {
      override async resetCheckpoint(...[scope, shardId, to, options]: ResetArguments) {
        await super.resetCheckpoint(scope, shardId, to, options);
        for (const key of this.server.checkpoints.keys()) {
          if (key.endsWith(`\n${shardId}`) && to) this.server.checkpoints.set(key, this.encode(to));
        }
      }
    },
  ),
];

type ResetArguments = Parameters<ReferenceStore["resetCheckpoint"]>;

import {
  checkpointAt,
  compareCheckpoints,
  StoreError,
  StoreRegressedError,
  type CallOptions,
  type Checkpoint,
  type CheckpointInResult,
  type StoreScope,
  type TransactionalWrite,
  type TransactionResult,
} from "@kc/core";
import { TransactionTurns } from "@kc/core/adapter";
import type { TransactionalStoreHarness } from "../../src/index.ts";
import { roundTrip } from "../support/reference-store.ts";
import {
  Conflict,
  ReferenceTx,
  transactionalHarness,
  TransactionalReference,
  TransactionalServer,
  type TransactionalReferenceClass,
} from "../support/reference-transactions.ts";

/** A store (or a harness) with one fault, and the scenarios that are there to find it. */
export interface TransactionalMutant {
  readonly name: string;
  readonly caughtBy: readonly string[];
  readonly makeHarness: () => Promise<TransactionalStoreHarness>;
}

/** The suite gives a harness what its own store gives to the work, and nothing else. */
const anyHarness = (...call: Parameters<typeof transactionalHarness>): TransactionalStoreHarness =>
  transactionalHarness(...call) as TransactionalStoreHarness;

type Own = Partial<TransactionalStoreHarness<ReferenceTx>>;

function mutant(
  name: string,
  caughtBy: string | readonly string[],
  Class: TransactionalReferenceClass,
  own: (server: TransactionalServer) => Own = () => ({}),
): TransactionalMutant {
  return {
    name,
    caughtBy: [caughtBy].flat(),
    makeHarness: async () => {
      const server = new TransactionalServer();
      return anyHarness(Class, server, own(server));
    },
  };
}

/** Judges by another rule. */
function covering(
  name: string,
  caughtBy: string | readonly string[],
  covers: (stored: Checkpoint, write: TransactionalWrite) => boolean,
): TransactionalMutant {
  return mutant(
    name,
    caughtBy,
    class extends TransactionalReference {
      override covers(stored: Checkpoint, write: TransactionalWrite): boolean {
        return covers(stored, write);
      }
    },
  );
}

/** Answers something else than it should. */
function answering(
  name: string,
  caughtBy: string | readonly string[],
  change: (result: TransactionResult<unknown>) => TransactionResult<unknown>,
): TransactionalMutant {
  return mutant(
    name,
    caughtBy,
    class extends TransactionalReference {
      override async transact<Value>(
        ...call: Parameters<TransactionalReference["transact"]>
      ): Promise<TransactionResult<Value>> {
        return change(await super.transact(...call)) as TransactionResult<Value>;
      }
    },
  );
}

type Work<Value> = (tx: ReferenceTx) => Value | PromiseLike<Value>;

const numberOf = (stored: Checkpoint): string =>
  stored.kind === "position" ? stored.sequenceNumber : "~";

const oneServer = new TransactionalServer();

const committing: readonly TransactionalMutant[] = [
  {
    name: "shares its effects with another harness",
    caughtBy: ["harness.effects"],
    makeHarness: async () => anyHarness(TransactionalReference, oneServer),
  },
  mutant("merges effects of one name", "harness.effects", TransactionalReference, (server) => ({
    effects: async () => [...new Set(server.effects)],
  })),
  answering("forgets what the work answered", "transact.committed", (result) =>
    result.outcome === "committed" ? { ...result, value: undefined } : result,
  ),
  mutant(
    "stores the first record's checkpoint",
    "transact.committed",
    class extends TransactionalReference {
      override put(tx: ReferenceTx, key: string, write: TransactionalWrite): Promise<void> {
        return super.put(tx, key, { ...write, checkpoint: checkpointAt(write.from) });
      }
    },
  ),
  mutant(
    "commits nothing where there was nothing to write",
    "transact.nothing-written",
    class extends TransactionalReference {
      override async commit(tx: ReferenceTx): Promise<void> {
        if (tx.writes.length > 1) await super.commit(tx);
      }
    },
  ),
  mutant(
    "writes effects outside the transaction",
    ["transact.whole", "transact.failed-work", "from.covered", "transact-fence.taken-over"],
    TransactionalReference,
    (server) => ({
      apply: async (_tx, effect) => {
        server.effects.push(effect);
      },
    }),
  ),
  mutant(
    "commits the checkpoint before the work",
    ["transact.whole", "transact.failed-work"],
    class extends TransactionalReference {
      override async transact<Value>(
        ...[scope, write, work, options]: Parameters<TransactionalReference["transact"]>
      ): Promise<TransactionResult<Value>> {
        await this.begin(options);
        const tx = new ReferenceTx(this.server);
        const result = await this.lastStatement(tx, scope, write).finally(() => tx.end());
        if (result.outcome !== "written") return result;
        await this.commit(tx);
        const next = new ReferenceTx(this.server);
        const value = await this.work(work as Work<Value>, next, options?.signal);
        await this.commit(next);
        return { outcome: "committed", value };
      }
    },
  ),
  mutant(
    "commits the checkpoint in a transaction of its own after the effects'",
    "transact-outage.in-work",
    class extends TransactionalReference {
      override async work<Value>(
        work: Work<Value>,
        tx: ReferenceTx,
        signal: AbortSignal | undefined,
      ): Promise<Value> {
        const value = await super.work(work, tx, signal);
        for (const write of tx.writes.splice(0)) write();
        return value;
      }
    },
  ),
  mutant(
    "wraps what the work throws",
    "transact.failed-work",
    class extends TransactionalReference {
      override async work<Value>(
        ...call: Parameters<TransactionalReference["work"]>
      ): Promise<Value> {
        try {
          return (await super.work(...call)) as Value;
        } catch (error) {
          throw new StoreError("STORE_FAILED", "the work failed", { cause: error });
        }
      }
    },
  ),
  mutant(
    "commits what failing work has written",
    "transact.failed-work",
    class extends TransactionalReference {
      override failed(tx: ReferenceTx): void {
        for (const write of tx.writes) write();
      }
    },
  ),
  mutant(
    "gives a connection back with an open transaction",
    "transact.after-failure",
    class extends TransactionalReference {
      #left: (() => void)[] = [];

      override failed(tx: ReferenceTx): void {
        this.#left = tx.writes;
        // What was under way comes in too.
        tx.writes.push(() => {});
      }

      override async commit(tx: ReferenceTx): Promise<void> {
        tx.writes.push(...this.#left);
        await super.commit(tx);
      }
    },
  ),
  mutant(
    "has one transaction for all that runs at once",
    "transact.shards",
    class extends TransactionalReference {
      #tx: ReferenceTx | undefined;

      override work<Value>(
        work: Work<Value>,
        tx: ReferenceTx,
        signal: AbortSignal | undefined,
      ): Promise<Value> {
        this.#tx ??= tx;
        return super.work(work, this.#tx, signal);
      }
    },
  ),
  mutant(
    "knows no applications",
    "transact.own-scope",
    class extends TransactionalReference {
      override scopeKey({ streamName }: StoreScope): string {
        return super.scopeKey({ application: "", streamName });
      }
    },
  ),
];

const froms: readonly TransactionalMutant[] = [
  covering("compares sequence numbers alone", "from.beyond", (stored, write) => {
    return numberOf(stored) >= write.from.sequenceNumber;
  }),
  covering(
    "compares numbers by their text",
    ["from.beyond", "from.covered"],
    (stored, { from }) => {
      const text = ({ sequenceNumber, subSequenceNumber }: typeof from): string =>
        `${sequenceNumber}:${subSequenceNumber ?? "~"}`;
      return stored.kind === "shard-end" || text(stored) >= text(from);
    },
  ),
  covering("takes a whole record for its first user record", "from.covered", (stored, write) => {
    if (stored.kind === "shard-end") return true;
    const whole = checkpointAt({ subSequenceNumber: 0, ...stored });
    return compareCheckpoints(whole, checkpointAt({ subSequenceNumber: 0, ...write.from })) >= 0;
  }),
  covering(
    "is monotonic and nothing more",
    ["from.covered", "overlap.two-readers", "overlap.behind-one-another"],
    (stored, { checkpoint }) => compareCheckpoints(stored, checkpoint) >= 0,
  ),
  answering("answers its own checkpoint for what is stored", "from.covered", (result) =>
    result.outcome === "already-done"
      ? { ...result, stored: checkpointAt({ sequenceNumber: "1" }) }
      : result,
  ),
  covering("stores again what is done", ["from.again", "commit.cut-after"], () => false),
  answering("takes what is done for committed", "from.again", (result) =>
    result.outcome === "already-done" ? { outcome: "committed", value: undefined } : result,
  ),
  mutant(
    "forgets sub-sequence numbers",
    "from.sub-sequence",
    class extends TransactionalReference {
      override put(tx: ReferenceTx, key: string, write: TransactionalWrite): Promise<void> {
        const { sequenceNumber = "1" } = write.checkpoint;
        return super.put(tx, key, { ...write, checkpoint: checkpointAt({ sequenceNumber }) });
      }
    },
  ),
  mutant(
    "leaves what is done beyond a position to the next one",
    "from.ahead",
    class extends TransactionalReference {
      override put(tx: ReferenceTx, key: string, write: TransactionalWrite): Promise<void> {
        const stored = this.read(key);
        const ahead = stored?.kind === "position" ? stored.ahead : undefined;
        const { checkpoint } = write;
        if (checkpoint.kind !== "position") return super.put(tx, key, write);
        return super.put(tx, key, { ...write, checkpoint: checkpointAt(checkpoint, ahead) });
      }
    },
  ),
  mutant(
    "stores a transaction's position without what is done beyond it",
    "transact.after-scan",
    class extends TransactionalReference {
      override put(tx: ReferenceTx, key: string, write: TransactionalWrite): Promise<void> {
        const { checkpoint } = write;
        if (checkpoint.kind !== "position") return super.put(tx, key, write);
        const { ahead: _, ...position } = checkpoint;
        return super.put(tx, key, { ...write, checkpoint: checkpointAt(position) });
      }
    },
  ),
];

/** Compares what the worker knows of by another rule. */
function knowing(
  name: string,
  caughtBy: string | readonly string[],
  change: (
    write: TransactionalWrite,
    stored: Checkpoint | undefined,
  ) => TransactionalWrite | undefined,
): TransactionalMutant {
  return mutant(
    name,
    caughtBy,
    class extends TransactionalReference {
      override checkAfter(write: TransactionalWrite, stored: Checkpoint | undefined): void {
        const changed = change(write, stored);
        if (changed !== undefined) super.checkAfter(changed, stored);
      }
    },
  );
}

const afters: readonly TransactionalMutant[] = [
  knowing(
    "goes on behind what the store has lost",
    ["after.lost", "after.reset", "after.own", "after.fence"],
    () => undefined,
  ),
  knowing(
    "puts a checkpoint where the one before is gone",
    ["after.lost", "after.reset"],
    (write, stored) => (stored === undefined ? undefined : write),
  ),
  knowing("compares what is known by sequence numbers alone", "after.lost", (write) => {
    const { sequenceNumber } = write.after ?? {};
    return sequenceNumber === undefined
      ? write
      : { ...write, after: { sequenceNumber, subSequenceNumber: 0 } };
  }),
  knowing("takes what another has stored for a loss", "after.there", (write, stored) => {
    if (stored?.kind !== "position" || write.after === undefined) return write;
    const isSame = compareCheckpoints(stored, checkpointAt(write.after)) === 0;
    return isSame ? write : { ...write, after: write.from };
  }),
  mutant(
    "takes work that is done for a loss",
    "after.done",
    class extends TransactionalReference {
      override covers(stored: Checkpoint, write: TransactionalWrite): boolean {
        const isDone = super.covers(stored, write);
        if (isDone && write.after !== undefined) throw new StoreRegressedError("taken for a loss");
        return isDone;
      }
    },
  ),
  mutant(
    "looks at what the store has lost before the fence",
    "after.fence",
    class extends TransactionalReference {
      override judge(scope: StoreScope, write: TransactionalWrite): CheckpointInResult {
        this.checkAfter(write, this.read(this.shardKey(scope, write.shardId)));
        return super.judge(scope, write);
      }
    },
  ),
  mutant(
    "looks for what is lost before the work, and not behind it",
    "after.reset",
    class extends TransactionalReference {
      override async transact<Value>(
        ...[scope, write, work, options]: Parameters<TransactionalReference["transact"]>
      ): Promise<TransactionResult<Value>> {
        this.judge(scope, write);
        const { after: _, ...rest } = write;
        return super.transact(scope, rest, work as Work<Value>, options);
      }
    },
  ),
];

const inside: readonly TransactionalMutant[] = [
  mutant(
    "shows others an aggregate that is done in part",
    ["transact-inside.batches", "transact-inside.own"],
    class extends TransactionalReference {
      override numberOf({ sequenceNumber = "0" }: Checkpoint): string {
        return sequenceNumber;
      }
    },
  ),
  mutant(
    "forgets the last whole record in a transaction of the user's",
    "transact-inside.own",
    class extends TransactionalReference {
      override checkpointIn(
        ...[tx, scope, write]: Parameters<TransactionalReference["checkpointIn"]>
      ): Promise<CheckpointInResult> {
        const { checkpoint } = write;
        if (checkpoint.kind === "shard-end") return super.checkpointIn(tx, scope, write);
        const { wholeSequenceNumber: _, ...position } = checkpoint;
        return super.checkpointIn(tx, scope, { ...write, checkpoint: checkpointAt(position) });
      }
    },
  ),
  mutant(
    "keeps the sub-sequence number beside another program's number",
    "transact-inside.foreign",
    class extends TransactionalReference {
      override foreignWrite(key: string, sequenceNumber: string): void {
        const checkpoint = { ...this.read(key)!, sequenceNumber };
        this.server.checkpoints.set(key, this.encode(checkpoint));
      }
    },
  ),
];

/** Judges before the work, or before it has the row's lock. */
class Early extends TransactionalReference {
  #early: CheckpointInResult | undefined;

  override async transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: Work<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    this.#early = this.judge(scope, write);
    return super.transact(scope, write, work, options);
  }

  override async lastStatement(
    tx: ReferenceTx,
    scope: StoreScope,
    write: TransactionalWrite,
  ): Promise<CheckpointInResult> {
    const result = await super.lastStatement(tx, scope, write);
    const early = this.#early ?? result;
    if (early.outcome === "written" && result.outcome !== "written") {
      await this.put(tx, this.shardKey(scope, write.shardId), write);
    }
    return early;
  }
}

/** Holds no lock between its last look and the commit. */
class Unlocked extends TransactionalReference {
  override async lastStatement(
    tx: ReferenceTx,
    scope: StoreScope,
    write: TransactionalWrite,
  ): Promise<CheckpointInResult> {
    await tx.statement();
    const result = this.judge(scope, write);
    if (result.outcome === "written") {
      await this.put(tx, this.shardKey(scope, write.shardId), write);
    }
    return result;
  }
}

const fences: readonly TransactionalMutant[] = [
  mutant(
    "ignores fences",
    [
      "transact-fence.transact",
      "transact-fence.nobody",
      "transact-fence.taken-over",
      "transact-inside.handed-over",
      "own.refused",
    ],
    class extends TransactionalReference {
      override holds(): boolean {
        return true;
      }
    },
  ),
  mutant(
    "answers that work is done where the fence is lost",
    "transact-fence.transact",
    class extends TransactionalReference {
      override judge(scope: StoreScope, write: TransactionalWrite): CheckpointInResult {
        const stored = this.read(this.shardKey(scope, write.shardId));
        if (stored && this.covers(stored, write)) return { outcome: "already-done", stored };
        return super.judge(scope, write);
      }
    },
  ),
  mutant("judges before the work", ["transact-fence.taken-over", "overlap.two-readers"], Early),
  mutant(
    "holds no lock until the commit",
    ["transact-fence.race", "overlap.two-readers"],
    Unlocked,
  ),
];

const breaking: readonly TransactionalMutant[] = [
  mutant(
    "takes a commit that was not answered for a success",
    ["commit.cut-before", "overlap.cuts"],
    class extends TransactionalReference {
      override unknown(): void {}
    },
  ),
  mutant(
    "runs a commit that was not answered again by itself",
    ["commit.cut-after", "overlap.cuts"],
    class extends TransactionalReference {
      override async commit(tx: ReferenceTx): Promise<void> {
        try {
          await super.commit(tx);
        } catch {
          await super.commit(tx);
        }
      }
    },
  ),
  mutant(
    "calls a commit that was not answered a lasting failure",
    ["commit.cut-before", "commit.cut-after"],
    class extends TransactionalReference {
      override unknown(): void {
        throw new StoreError("STORE_FAILED", "the commit failed");
      }
    },
  ),
  mutant(
    "calls an outage a lasting failure",
    "transact-outage.transact",
    class extends TransactionalReference {
      override checkReachable(): void {
        if (!this.server.reachable) throw new StoreError("STORE_FAILED", "no connection");
      }
    },
  ),
  mutant(
    "ignores its signal at the beginning",
    "transact-abort.before",
    class extends TransactionalReference {
      override begin(): Promise<void> {
        return super.begin(undefined);
      }

      override async transact<Value>(
        scope: StoreScope,
        write: TransactionalWrite,
        work: Work<Value>,
      ): Promise<TransactionResult<Value>> {
        return super.transact(scope, write, work);
      }
    },
  ),
  mutant(
    "commits although its signal has aborted",
    "transact-abort.in-work",
    class extends TransactionalReference {
      override failed(tx: ReferenceTx): void {
        for (const write of tx.writes) write();
      }

      override async work<Value>(
        work: Work<Value>,
        tx: ReferenceTx,
        signal: AbortSignal | undefined,
      ): Promise<Value> {
        // The effect that is under way comes in.
        return super.work(work, tx, signal).catch(async (error: unknown) => {
          await roundTrip();
          throw error;
        });
      }
    },
  ),
  mutant(
    "works after it was disposed of",
    "transact-closed.transact",
    class extends TransactionalReference {
      override checkOpen(): void {}
    },
  ),
];

const misuses: readonly TransactionalMutant[] = [
  mutant(
    "does not look whether its transaction is there still",
    ["misuse.ended", "own.over"],
    class extends TransactionalReference {
      override checkWhole(): void {}
    },
  ),
  mutant(
    "leaves the connection to the work for good",
    "misuse.late",
    class extends TransactionalReference {
      override takeBack(): void {}
    },
  ),
  mutant(
    "calls what the database refuses a failure of its own",
    "transact.refused",
    class extends TransactionalReference {
      override async commit(tx: ReferenceTx): Promise<void> {
        await super.commit(tx).catch((cause: unknown) => {
          throw new StoreError("STORE_FAILED", "refused", { cause });
        });
      }
    },
  ),
  mutant(
    "takes a deadlock for the work's failure",
    "conflict.deadlock",
    class extends TransactionalReference {
      override hasToRunAgain(): boolean {
        return false;
      }
    },
  ),
  mutant(
    "takes every conflict for its own",
    "conflict.elsewhere",
    class extends TransactionalReference {
      override hasToRunAgain(_tx: ReferenceTx, error: unknown): boolean {
        return error instanceof Conflict;
      }
    },
  ),
  mutant(
    "lets transactions use up its pool",
    ["turns.connections-left", "turns.too-few"],
    class extends TransactionalReference {
      override mostTransactions(): number {
        return this.pool?.connections ?? Infinity;
      }
    },
  ),
  mutant(
    "has turns of its own on a pool that it shares",
    "turns.connections-left",
    class extends TransactionalReference {
      readonly #turns = new TransactionTurns();

      override turnsOf(): TransactionTurns {
        return this.#turns;
      }
    },
  ),
  mutant(
    "takes an abort for the end of the wait",
    "turns.abandoned",
    class extends TransactionalReference {
      override takeTurn(most: number, signal?: AbortSignal): Promise<() => void> {
        return super.takeTurn(most, signal).catch(() => () => {});
      }

      override inTurn<Value>(
        ...[scope, write, work]: Parameters<TransactionalReference["transact"]>
      ): Promise<TransactionResult<Value>> {
        return super.inTurn(scope, write, work as Work<Value>);
      }
    },
  ),
];

const own: readonly TransactionalMutant[] = [
  mutant(
    "commits a transaction that is the user's",
    "own.rolled-back",
    class extends TransactionalReference {
      override async checkpointIn(
        ...call: Parameters<TransactionalReference["checkpointIn"]>
      ): Promise<CheckpointInResult> {
        const result = await super.checkpointIn(...call);
        if (result.outcome === "written") for (const write of call[0].writes) write();
        return result;
      }
    },
  ),
  mutant(
    "writes nothing in a transaction of the user's",
    "own.committed",
    class extends TransactionalReference {
      override async checkpointIn(): Promise<CheckpointInResult> {
        return { outcome: "written" };
      }
    },
  ),
  mutant(
    "puts letters outside the transaction",
    "letters.in-transaction",
    TransactionalReference,
    (server) => {
      const harness = transactionalHarness(TransactionalReference, server);
      return {
        letters: async (store) => {
          const table = await harness.letters!(store);
          table.sendIn = async (_tx, sent) => {
            for (const letter of sent) server.letters.letters.set(letter.id, letter);
          };
          return table;
        },
      };
    },
  ),
];

export const TRANSACTIONAL_MUTANTS: readonly TransactionalMutant[] = [
  ...committing,
  ...froms,
  ...afters,
  ...inside,
  ...fences,
  ...breaking,
  ...misuses,
  ...own,
];

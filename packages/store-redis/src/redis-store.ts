import { randomUUID } from "node:crypto";
import {
  formatCheckpoint,
  LeaseLostError,
  StoreRegressedError,
  type AcquiredLease,
  type ApplicationRow,
  type BulkCheckpointResult,
  type CallOptions,
  type Checkpoint,
  type CheckpointWrite,
  type DeadLetterTable,
  type Fence,
  type LeaseStore,
  type SetCheckpointResult,
  type ShardPut,
  type StoreScope,
  type TransactionalStore,
  type TransactionalWrite,
  type TransactionResult,
  type WorkerIdentity,
  type WorkerMembership,
} from "@kc/core";
import {
  checkClaim,
  joined,
  singleResult,
  StatementsDeadLetterTable,
  unlessAborted,
} from "@kc/core/adapter";
import { Connection } from "./connection.ts";
import { RedisLetters } from "./dead-letters.ts";
import { refuseEviction } from "./eviction.ts";
import { ApplicationKeys } from "./keys.ts";
import { RedisLeases } from "./leases.ts";
import { Memory } from "./memory.ts";
import { checkOptions, type CheckedOptions, type RedisStoreOptions } from "./options.ts";
import { textsOf } from "./replies.ts";
import {
  applicationOf,
  applicationText,
  checkpointArguments,
  shardOf,
  type ShardReply,
} from "./rows.ts";
import { findShards, untilAborted } from "./search.ts";
import * as lua from "./statements.ts";
import { CollectedCommands, commandError, type RedisTransaction } from "./transaction.ts";

/**
 * Progress and leases in Redis: a server with or without replicas, or a cluster. There is no schema, so there
 * is no `setup`. The first call connects, not the constructor.
 */
export class RedisStore implements LeaseStore, TransactionalStore<RedisTransaction> {
  readonly capabilities: LeaseStore["capabilities"] = {
    leases: true,
    fences: true,
    flushIntervalMs: 1000,
    flush: "together",
    maxAheadBytes: 4096,
  };
  readonly #options: CheckedOptions;
  readonly #connection: Connection;
  readonly #memories = new Map<string, Memory>();

  /** @throws ConfigError if an option is wrong. */
  constructor(options: RedisStoreOptions) {
    this.#options = checkOptions(options);
    this.#connection = new Connection(this.#options);
  }

  async openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    const memory = this.#memory(scope);
    await refuseEviction(this.#connection, options);
    const [outcome, text = ""] = await this.#application(
      lua.OPEN_APPLICATION,
      memory,
      [applicationText(row)],
      options,
    );
    const stands = applicationOf(text);
    const isOurs =
      stands.application === scope.application && stands.streamName === scope.streamName;
    if (isOurs) memory.row = text;
    return { outcome: outcome === "created" ? "created" : "existing", row: stands };
  }

  async getCheckpoint(
    scope: StoreScope,
    shardId: string,
    options?: CallOptions,
  ): Promise<Checkpoint | undefined> {
    const memory = this.#memory(scope);
    if (memory.row === "") await this.#readApplication(scope, memory, options);
    const [shard] = await this.#readShards(memory, [shardId], options);
    return shard?.checkpoint;
  }

  /** Two round trips: the application's list of shards, then all of these. */
  async getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    const memory = this.#memory(scope);
    const searched = await this.#readApplication(scope, memory, options);
    if (!memory.searched && !searched) await this.#searchForGo(memory, options);

    const checkpoints = new Map<string, Checkpoint>();
    const read = async (shardIds: readonly string[]): Promise<boolean> => {
      const shards = await this.#readShards(memory, shardIds, options);
      for (const [index, { checkpoint }] of shards.entries()) {
        if (checkpoint !== undefined) checkpoints.set(shardIds[index]!, checkpoint);
      }
      return shards.some(({ byGo }) => byGo);
    };
    const shardIds = [...new Set([...memory.listed, ...memory.shardIds])];
    const goWrote = await read(shardIds);
    const isAnyOpen = [...checkpoints.values()].some(({ kind }) => kind === "position");
    if ((goWrote || !isAnyOpen) && !memory.searched) {
      // Go has been at work since, and may have met new shards. Where all that are known have ended,
      // it had nothing to write there: it would be seen in none of them.
      await this.#searchForGo(memory, options);
      await read([...memory.listed].filter((shardId) => !shardIds.includes(shardId)));
    }
    return checkpoints;
  }

  async setCheckpoint(
    scope: StoreScope,
    write: CheckpointWrite,
    options?: CallOptions,
  ): Promise<SetCheckpointResult> {
    const [result] = await this.setCheckpoints(scope, [write], options);
    return singleResult(write, result);
  }

  async setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options?: CallOptions,
  ): Promise<readonly BulkCheckpointResult[]> {
    return this.#advance(scope, writes, new Map(), options);
  }

  /** @param relisted the removals after which this call has listed shards again, by shard */
  async #advance(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    relisted: ReadonlyMap<string, string | undefined>,
    options: CallOptions | undefined,
  ): Promise<readonly BulkCheckpointResult[]> {
    const memory = this.#memory(scope);
    const shardIds = writes.map(({ shardId }) => shardId);
    await this.#list(scope, memory, shardIds, options);
    const calls = writes.map((write) => ({
      keys: memory.keys.shard(write.shardId),
      args: argumentsOf(memory, write, relisted.get(write.shardId)),
    }));
    const replies = await this.#connection.run(lua.ADVANCE_SHARD, calls, options);
    const shards = this.#learn(memory, shardIds, replies);
    const gone = new Map(
      shards.flatMap((shard, i) =>
        shard.outcome === "gone" ? [[shardIds[i]!, shard.gone] as const] : [],
      ),
    );
    if (gone.size === 0) return shards.map(resultOf);
    const open = writes.filter(({ shardId }) => gone.has(shardId));
    const again = (await this.#advance(scope, open, gone, options)).values();
    return shards.map((shard) =>
      shard.outcome === "gone" ? again.next().value! : resultOf(shard),
    );
  }

  /**
   * The commands that `work` collects run in one script with the checkpoint, when `work` has ended. **Redis
   * does not undo what a script has done**: where a command fails, those before it stand, the checkpoint is
   * not written, and the error is the work's failure.
   */
  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: RedisTransaction) => Value | PromiseLike<Value>,
    { signal }: CallOptions = {},
  ): Promise<TransactionResult<Value>> {
    return joined([this.#connection.closing, signal], (stop) =>
      this.#transactUntil(stop, scope, write, work),
    );
  }

  async #transactUntil<Value>(
    stop: AbortSignal,
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: RedisTransaction) => Value | PromiseLike<Value>,
  ): Promise<TransactionResult<Value>> {
    const { isCluster } = this.#connection;
    const { shardId } = write;
    const { keys } = this.#memory(scope);
    const own = keys.shard(shardId);
    const keyOf = (name: string): string => keys.beside(shardId, name);
    const tx = new CollectedCommands({ shardId, own, keyOf, isCluster });
    let value: Value;
    try {
      value = await unlessAborted(stop, work(tx));
    } finally {
      tx.end();
    }
    const shard = await this.#commit(scope, write, tx, { signal: stop });
    const { outcome, checkpoint } = shard;
    if (outcome === "written") return { outcome: "committed", value };
    if (outcome === "already-done" && checkpoint !== undefined) {
      return { outcome, stored: checkpoint };
    }
    if (outcome === "lease-lost") return { outcome };
    throw new Error(`the script answered ${outcome}`);
  }

  /** @param relisted as for `#advance`. @throws what a command of the handler's failed with */
  async #commit(
    scope: StoreScope,
    write: TransactionalWrite,
    tx: CollectedCommands,
    options: CallOptions,
    relisted?: string,
  ): Promise<ShardReply> {
    const memory = this.#memory(scope);
    const { shardId, from } = write;
    await this.#list(scope, memory, [shardId], options);
    const call = {
      keys: [...memory.keys.shard(shardId), ...tx.keys],
      args: [
        ...argumentsOf(memory, write, relisted),
        from.sequenceNumber,
        String(from.subSequenceNumber ?? ""),
        ...tx.args,
      ],
    };
    const [reply] = await this.#connection.run(lua.TRANSACT_SHARD, [call], options);
    const [outcome, position = "", name = "", message = ""] = textsOf(reply);
    if (outcome === "failed") throw commandError(position, name, message);
    const [shard] = this.#learn(memory, [shardId], [reply]);
    if (shard!.outcome !== "gone") return shard!;
    return this.#commit(scope, write, tx, options, shard!.gone);
  }

  async resetCheckpoint(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options?: CallOptions & { readonly force?: boolean },
  ): Promise<void> {
    const memory = this.#memory(scope);
    memory.listed.delete(shardId); // it may have been removed since
    await this.#list(scope, memory, [shardId], options);
    const args = [...checkpointArguments(to), options?.force === true ? "1" : ""];
    const keys = memory.keys.shard(shardId);
    const replies = await this.#connection.run(lua.RESET_SHARD, [{ keys, args }], options);
    const [shard] = this.#learn(memory, [shardId], replies);
    if (shard?.outcome === "lease-lost") {
      throw new LeaseLostError(shardId, `${shard.owner} holds it: stop it, or force the reset`);
    }
    await this.#leases(scope, options).changed();
  }

  joinWorker(
    scope: StoreScope,
    worker: WorkerMembership,
    options?: CallOptions,
  ): ReturnType<LeaseStore["joinWorker"]> {
    return this.#leases(scope, options).join(worker);
  }

  heartbeat(
    scope: StoreScope,
    worker: WorkerIdentity,
    options?: CallOptions,
  ): ReturnType<LeaseStore["heartbeat"]> {
    return this.#leases(scope, options).beat(worker);
  }

  listWorkers(scope: StoreScope, options?: CallOptions): ReturnType<LeaseStore["listWorkers"]> {
    return this.#leases(scope, options).listWorkers();
  }

  evictWorker(
    scope: StoreScope,
    worker: WorkerIdentity & { readonly counter: number },
    options?: CallOptions,
  ): ReturnType<LeaseStore["evictWorker"]> {
    return this.#leases(scope, options).evict(worker);
  }

  leaveWorker(scope: StoreScope, worker: WorkerIdentity, options?: CallOptions): Promise<void> {
    return this.#leases(scope, options).leave(worker);
  }

  putShards(scope: StoreScope, shards: readonly ShardPut[], options?: CallOptions): Promise<void> {
    return this.#leases(scope, options).put(shards);
  }

  listLeases(scope: StoreScope, options?: CallOptions): ReturnType<LeaseStore["listLeases"]> {
    return this.#leases(scope, options).list();
  }

  acquireLeases(
    scope: StoreScope,
    worker: WorkerIdentity,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<readonly AcquiredLease[]> {
    return this.#leases(scope, options).acquire(worker, shardIds);
  }

  releaseLeases(
    scope: StoreScope,
    held: readonly { readonly shardId: string; readonly fence: Fence }[],
    options?: CallOptions,
  ): Promise<readonly string[]> {
    return this.#leases(scope, options).release(held);
  }

  async removeShards(
    scope: StoreScope,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<void> {
    const memory = this.#memory(scope);
    const name = randomUUID();
    await this.#application(lua.NOTE_REMOVALS, memory, [name, ...shardIds], options);
    const removed = await this.#leases(scope, options).remove(name, shardIds);
    if (removed.length === 0) return;
    await this.#application(lua.REMOVE_SHARDS, memory, [name, ...removed], options);
    for (const shardId of removed) memory.forget(shardId);
  }

  /** On a connection of its own, which is made again for as long as it takes. */
  watch(scope: StoreScope, onHint: () => void, signal: AbortSignal): Promise<void> {
    return this.#connection.subscribe(this.#memory(scope).keys.group, onHint, signal);
  }

  /** Dead letters under the store's key prefix, in keys of their own. */
  deadLetters(): DeadLetterTable {
    const letters = new RedisLetters(this.#connection, this.#options.keyPrefix);
    return new StatementsDeadLetterTable(letters);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #memory(scope: StoreScope): Memory {
    const key = JSON.stringify([scope.application, scope.streamName]);
    let memory = this.#memories.get(key);
    if (memory === undefined) {
      memory = new Memory(new ApplicationKeys(this.#options.keyPrefix, scope));
      this.#memories.set(key, memory);
    }
    return memory;
  }

  #leases(scope: StoreScope, options: CallOptions | undefined): RedisLeases {
    const memory = this.#memory(scope);
    return new RedisLeases({
      connection: this.#connection,
      memory,
      options,
      read: (shardIds) => this.#readShards(memory, shardIds, options),
      learn: (shardIds, replies) => this.#learn(memory, shardIds, replies),
    });
  }

  async #application(
    script: lua.Script,
    memory: Memory,
    args: readonly string[],
    options: CallOptions | undefined,
  ): Promise<readonly string[]> {
    const call = { keys: [memory.keys.application], args: [memory.row, ...args] };
    const [reply] = await this.#connection.run(script, [call], options);
    const texts = textsOf(reply);
    if (texts[0] === "regressed") throw regressed("the application row that stood there is gone");
    return texts;
  }

  /** Answers whether Go's checkpoints have been looked for. */
  async #readApplication(
    scope: StoreScope,
    memory: Memory,
    options: CallOptions | undefined,
  ): Promise<boolean> {
    const texts = await this.#application(lua.READ_APPLICATION, memory, [], options);
    const [, row = "", searched, ...shardIds] = texts;
    claim(scope, memory, row);
    for (const shardId of shardIds) memory.listed.add(shardId);
    return searched === "1";
  }

  /** Before their checkpoints: a crash in between leaves a name too many, never one too few. */
  async #list(
    scope: StoreScope,
    memory: Memory,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<void> {
    const unlisted = shardIds.filter((shardId) => !memory.listed.has(shardId));
    if (unlisted.length === 0) return;
    if (memory.row === "") await this.#readApplication(scope, memory, options);
    await this.#application(lua.ADD_SHARDS, memory, ["", ...unlisted], options);
    for (const shardId of unlisted) memory.listed.add(shardId);
  }

  /**
   * A search that is under way is joined, and continues when its caller's signal aborts: that of a
   * large database takes longer than a consumer waits for one call.
   */
  async #searchForGo(memory: Memory, { signal }: CallOptions = {}): Promise<void> {
    if (!this.#options.searchForGo) return;
    memory.searching ??= this.#findShards(memory).finally(() => (memory.searching = undefined));
    await untilAborted(memory.searching, signal);
  }

  async #findShards(memory: Memory): Promise<void> {
    const found = await findShards(this.#connection, memory.keys);
    await this.#application(lua.ADD_SHARDS, memory, ["1", ...found], {});
    for (const shardId of found) memory.listed.add(shardId);
    memory.searched = true;
  }

  async #readShards(
    memory: Memory,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<readonly ShardReply[]> {
    const calls = shardIds.map((shardId) => ({
      keys: memory.keys.shard(shardId),
      args: memory.shard(shardId),
    }));
    const replies = await this.#connection.run(lua.READ_SHARD, calls, options);
    return this.#learn(memory, shardIds, replies);
  }

  #learn(
    memory: Memory,
    shardIds: readonly string[],
    replies: readonly unknown[],
  ): readonly ShardReply[] {
    return replies.map((reply, index) => {
      const shardId = shardIds[index]!;
      const shard = shardOf(shardId, reply);
      if (shard.outcome === "regressed") {
        const stands = shard.checkpoint ? formatCheckpoint(shard.checkpoint) : "no checkpoint";
        throw regressed(`${shardId} has ${stands}, and was further on`);
      }
      // Its epoch is not remembered for ever: what was seen of it is no promise any more.
      if (shard.gone) memory.forget(shardId);
      else if (shard.outcome !== "lease-lost") memory.learn(shardId, shard);
      return shard;
    });
  }
}

/** Two stores with different prefixes can have the same keys: the row says whose they are. */
function claim(scope: StoreScope, memory: Memory, text: string): void {
  if (text === "") return;
  const row = applicationOf(text);
  checkClaim(row, scope, "this place in Redis", "`keyPrefix`");
  memory.row = text;
}

/** Of a write, for a script: what was seen of the shard, the checkpoint, its fence, and `relisted`. */
function argumentsOf(
  memory: Memory,
  { shardId, checkpoint, fence }: CheckpointWrite,
  relisted = "",
): readonly string[] {
  return [
    ...memory.shard(shardId),
    ...checkpointArguments(checkpoint),
    ...(fence === undefined ? ["", ""] : [String(fence.epoch), fence.owner]),
    relisted,
  ];
}

function resultOf({ outcome, checkpoint }: ShardReply): BulkCheckpointResult {
  if (outcome === "lease-lost") return { outcome };
  const known = outcome === "written" || outcome === "same" || outcome === "behind";
  if (known && checkpoint !== undefined) return { outcome, stored: checkpoint };
  throw new Error(`the script answered ${outcome}`);
}

function regressed(what: string): StoreRegressedError {
  return new StoreRegressedError(
    `Redis has less than it had acknowledged: ${what}. It was emptied, restored from a copy, or ` +
      "failed over to a replica that lagged. To continue from its present state, start the " +
      "process again.",
  );
}

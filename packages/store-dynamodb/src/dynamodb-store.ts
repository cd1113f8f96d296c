import type { GetItemCommandOutput, QueryCommandOutput } from "@aws-sdk/client-dynamodb";
import {
  LeaseLostError,
  StoreError,
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
  type TransactionalDeadLetters,
  type TransactionalStore,
  type TransactionalWrite,
  type TransactionResult,
  type WorkerIdentity,
  type WorkerMembership,
} from "@kc/core";
import { advanceOutcome, relayed, singleResult } from "@kc/core/adapter";
import { Claims } from "./claims.ts";
import { Client } from "./client.ts";
import { DynamoDBDeadLetters, DynamoDBLetters } from "./dead-letters.ts";
import { DynamoDBLeases } from "./leases.ts";
import { checkShardId, Namespaces } from "./namespaces.ts";
import { checkOptions, checkWeight, type DynamoDBStoreOptions } from "./options.ts";
import { inParallel } from "./parallel.ts";
import { PartitionMemory } from "./partition-memory.ts";
import { applicationOf, shardStateOf, writerOf, type Item } from "./rows.ts";
import { checkpointsShape, setUpTable } from "./schema.ts";
import * as statements from "./statements.ts";
import type { DynamoTransaction } from "./transaction.ts";
import { Transactions } from "./transactions.ts";

/** Each of these lost to another writer who moved the shard meanwhile. */
const TRIES = 30;

/**
 * Progress and leases in a DynamoDB table, the one of the Go library or one that `setup()` makes.
 *
 * A write is one conditional UpdateItem: the shard's item holds a copy of its lease (`kc_writer`)
 * beside the checkpoint. Where that copy is missing (a new shard, or Go's PutItem wiped it), the
 * write is a transaction that compares the lease's own item and puts the copy back. The same for a
 * namespace that was not opened: the transaction sees that nobody else claims it.
 */
export class DynamoDBStore implements LeaseStore, TransactionalStore<DynamoTransaction> {
  readonly capabilities: LeaseStore["capabilities"] = {
    leases: true,
    fences: true,
    flushIntervalMs: 10_000,
    flush: "spread",
    maxAheadBytes: 512,
  };
  readonly #client: Client;
  readonly #namespaces: Namespaces;
  readonly #claims: Claims;
  readonly #memories: Map<string, PartitionMemory> = new Map();

  /** @throws ConfigError if an option is wrong. */
  constructor(options: DynamoDBStoreOptions) {
    const checked = checkOptions(options);
    this.#client = new Client(checked);
    this.#namespaces = new Namespaces(checked);
    this.#claims = new Claims(this.#client, this.#namespaces);
  }

  /** Makes the table, on demand (PAY_PER_REQUEST), and waits until it is there. */
  setup(options?: CallOptions): Promise<void> {
    return setUpTable(this.#client, checkpointsShape(this.#client.table), options);
  }

  async openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    const partition = this.#namespaces.partition(scope);
    const refusals = await this.#client.write(statements.putApplication(partition, row), options);
    const item = refusals?.[0]?.item;
    const stands = item === undefined ? row : applicationOf(item);
    this.#namespaces.learn(scope, stands);
    return { outcome: item === undefined ? "created" : "existing", row: stands };
  }

  async getCheckpoint(
    scope: StoreScope,
    shardId: string,
    options?: CallOptions,
  ): Promise<Checkpoint | undefined> {
    checkShardId(shardId);
    const { Item: item } = await this.#client.read<GetItemCommandOutput>(
      statements.readItem(this.#namespaces.partition(scope), shardId),
      options,
    );
    // After it: what was read before the namespace was claimed belongs to no other scope.
    await this.#claims.isClaimed(scope, options);
    return shardStateOf(item).checkpoint;
  }

  async getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    this.#namespaces.isClaimed(scope);
    const partition = this.#namespaces.partition(scope);
    const checkpoints = new Map<string, Checkpoint>();
    let after: QueryCommandOutput["LastEvaluatedKey"];
    do {
      const page = await this.#client.read<QueryCommandOutput>(
        statements.readPage(partition, after),
        options,
      );
      for (const item of page.Items ?? []) {
        const shardId = item["shard_id"]?.S ?? "";
        if (shardId === statements.APPLICATION) this.#claims.learn(scope, item);
        if (shardId.startsWith(statements.OWN_PREFIX)) continue;
        const { checkpoint } = shardStateOf(item);
        if (checkpoint !== undefined) checkpoints.set(shardId, checkpoint);
      }
      after = page.LastEvaluatedKey;
    } while (after !== undefined);
    return checkpoints;
  }

  async setCheckpoint(
    scope: StoreScope,
    write: CheckpointWrite,
    options?: CallOptions,
  ): Promise<SetCheckpointResult> {
    const claimed = await this.#claims.isClaimed(scope, options);
    return singleResult(write, await this.#write(scope, write, claimed, options));
  }

  /**
   * Each by itself, some at once. What fails does not hold up the others; then the call rejects, and
   * the next one leaves out what was written by this one.
   */
  async setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options?: CallOptions,
  ): Promise<readonly BulkCheckpointResult[]> {
    const claimed = await this.#claims.isClaimed(scope, options);
    const { acknowledged } = this.#memory(scope);
    return relayed(options, async (own) => {
      const known = writes.map((write) => acknowledged.resultOf(write));
      const { answers, failure } = await inParallel(
        acknowledged.outstanding(writes),
        this.#client.concurrency,
        async (write) => {
          const result = await this.#write(scope, write, claimed, own);
          acknowledged.add(write, result);
          return result;
        },
      );
      own.signal?.throwIfAborted();
      if (failure !== undefined) throw failure.error;
      acknowledged.clear();
      return writes.map((write, index) => answers.get(write) ?? known[index]!);
    });
  }

  /**
   * What `work` writes by its transaction and the checkpoint are one TransactWriteItems, sent when `work`
   * has ended. A failed condition of an item of `work`, or an item that DynamoDB refuses, is the work's
   * failure, thrown as the SDK threw it.
   */
  transact<Value>(
    scope: StoreScope,
    write: TransactionalWrite,
    work: (tx: DynamoTransaction) => Value | PromiseLike<Value>,
    options?: CallOptions,
  ): Promise<TransactionResult<Value>> {
    const transactions = new Transactions(this.#client, this.#namespaces, this.#claims);
    return transactions.transact(scope, write, work, options);
  }

  async resetCheckpoint(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options?: CallOptions & { readonly force?: boolean },
  ): Promise<void> {
    checkShardId(shardId);
    const claimed = this.#namespaces.isClaimed(scope);
    const refusals = await this.#client.write(
      statements.reset(
        this.#namespaces.partition(scope),
        shardId,
        to,
        options?.force === true,
        claimed ? undefined : scope,
      ),
      options,
    );
    if (refusals === undefined) {
      this.#memory(scope).acknowledged.clear();
      await this.#leases(scope, options).changed();
      return;
    }
    this.#claims.learn(scope, refusals[statements.ACTION.application]?.item);
    const owner = refusals[statements.ACTION.lease]?.item?.["kc_owner"]?.S;
    throw new LeaseLostError(shardId, `${owner} holds it: stop it, or force the reset`);
  }

  async joinWorker(
    scope: StoreScope,
    worker: WorkerMembership,
    options?: CallOptions,
  ): ReturnType<LeaseStore["joinWorker"]> {
    checkWeight(worker.weight);
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
    return relayed(options, (own) => this.#leases(scope, own).put(shards));
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
    return relayed(options, (own) => this.#leases(scope, own).acquire(worker, shardIds));
  }

  releaseLeases(
    scope: StoreScope,
    held: readonly { readonly shardId: string; readonly fence: Fence }[],
    options?: CallOptions,
  ): Promise<readonly string[]> {
    return relayed(options, (own) => this.#leases(scope, own).release(held));
  }

  removeShards(
    scope: StoreScope,
    shardIds: readonly string[],
    options?: CallOptions,
  ): Promise<void> {
    return relayed(options, (own) => this.#leases(scope, own).remove(shardIds));
  }

  /**
   * Dead letters in a table of their own, `{table}-dead-letters`, which its own `setup()` makes.
   * @throws ConfigError if that is longer than a table's name can be
   */
  deadLetters(): DeadLetterTable & TransactionalDeadLetters<DynamoTransaction> {
    return new DynamoDBDeadLetters(new DynamoDBLetters(this.#client), this);
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #leases(scope: StoreScope, options: CallOptions | undefined): DynamoDBLeases {
    const partition = this.#namespaces.partition(scope);
    return new DynamoDBLeases(this.#client, partition, this.#memory(scope), options);
  }

  #memory(scope: StoreScope): PartitionMemory {
    const { namespace } = this.#namespaces.partition(scope);
    let memory = this.#memories.get(namespace);
    if (memory === undefined) this.#memories.set(namespace, (memory = new PartitionMemory()));
    return memory;
  }

  async #write(
    scope: StoreScope,
    { shardId, checkpoint, fence }: CheckpointWrite,
    claimed: boolean,
    options: CallOptions | undefined,
  ): Promise<BulkCheckpointResult> {
    checkShardId(shardId);
    const partition = this.#namespaces.partition(scope);
    /** What is known to be stored: nothing, until a refusal returns it. */
    let item: Item | undefined;
    if (claimed) {
      const advance = statements.advance(partition, shardId, checkpoint, fence);
      const refusals = await this.#client.write(advance, options);
      if (refusals === undefined) return { outcome: "written", stored: checkpoint };
      item = refusals[0]?.item;
    }
    for (let tries = 1; tries <= TRIES; tries += 1) {
      const { checkpoint: stored, writer } = shardStateOf(item);
      if (writer !== undefined && writer !== writerOf(fence)) return { outcome: "lease-lost" };
      const result = advanceOutcome(checkpoint, stored);
      if (writer !== undefined && result.outcome !== "written") return result;
      const unclaimedBy = claimed ? undefined : scope;
      const refusals = await this.#client.write(
        statements.adopt(partition, shardId, result.stored, fence, item, unclaimedBy),
        options,
      );
      if (refusals === undefined) return result;
      this.#claims.learn(scope, refusals[statements.ACTION.application]?.item);
      if (refusals[statements.ACTION.lease]?.failed) return { outcome: "lease-lost" };
      item = refusals[statements.ACTION.shard]?.item;
    }
    throw new StoreError(
      "STORE_UNAVAILABLE",
      `DynamoDB table ${partition.table}: ${shardId} was moved by others ${TRIES} times meanwhile`,
      { retryable: true },
    );
  }
}

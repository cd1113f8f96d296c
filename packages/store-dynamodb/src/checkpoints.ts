import type { GetItemCommandOutput } from "@aws-sdk/client-dynamodb";
import {
  LeaseLostError,
  StoreError,
  type BulkCheckpointResult,
  type CallOptions,
  type Checkpoint,
  type CheckpointWrite,
  type StoreScope,
} from "@kc/core";
import { advanceOutcome } from "@kc/core/adapter";
import type { Calls } from "./calls.ts";
import type { NamespaceClaims } from "./namespace-claims.ts";
import { checkShardId, type Namespaces } from "./namespaces.ts";
import { inParallel } from "./parallel.ts";
import { shardStateOf, sortKeyOf, writerOf, type Item } from "./rows.ts";
import * as statements from "./statements.ts";

/** The maximum number of attempts of a write. Each failed one lost to another writer that moved the shard meanwhile. */
const MAX_ATTEMPTS = 30;

/** The items of shards. `Store` documents each method. */
export class Checkpoints {
  readonly #calls: Calls;
  readonly #namespaces: Namespaces;
  readonly #claims: NamespaceClaims;

  constructor(calls: Calls, namespaces: Namespaces, claims: NamespaceClaims) {
    this.#calls = calls;
    this.#namespaces = namespaces;
    this.#claims = claims;
  }

  async get(
    scope: StoreScope,
    shardId: string,
    options: CallOptions | undefined,
  ): Promise<Checkpoint | undefined> {
    checkShardId(shardId);
    const read = statements.readItem(this.#namespaces.partition(scope), shardId);
    const { Item: item } = await this.#calls.client.read<GetItemCommandOutput>(read, options);
    // Checked after the read: an item that was read before the namespace was claimed belongs to no other scope.
    await this.#claims.isClaimed(scope, options);
    return shardStateOf(item).checkpoint;
  }

  async all(
    scope: StoreScope,
    options: CallOptions | undefined,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    this.#namespaces.isClaimed(scope);
    const partition = this.#namespaces.partition(scope);
    const checkpoints = new Map<string, Checkpoint>();
    const items = await this.#calls.pages(
      (after) => statements.readPage(partition, after),
      options,
    );
    for (const item of items) {
      const shardId = sortKeyOf(item);
      if (shardId === statements.APPLICATION) this.#claims.learn(scope, item);
      if (shardId.startsWith(statements.OWN_PREFIX)) continue;
      const { checkpoint } = shardStateOf(item);
      if (checkpoint !== undefined) checkpoints.set(shardId, checkpoint);
    }
    return checkpoints;
  }

  /**
   * Each write is a request of its own, and several run concurrently. A failure does not stop the others. Then the call
   * rejects, and the next call omits the writes that succeeded in this one.
   */
  async set(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options: CallOptions | undefined,
  ): Promise<readonly BulkCheckpointResult[]> {
    const claimed = await this.#claims.isClaimed(scope, options);
    const { acknowledged } = this.#calls.memoryOf(scope);
    const known = writes.map((write) => acknowledged.resultOf(write));
    const { answers, failure } = await inParallel(
      acknowledged.outstanding(writes),
      this.#calls.client.concurrency,
      options,
      async (write, own) => {
        const result = await this.#write(scope, write, claimed, own);
        acknowledged.add(write, result);
        return result;
      },
    );
    options?.signal?.throwIfAborted();
    if (failure !== undefined) throw failure.error;
    acknowledged.clear();
    return writes.map((write, index) => answers.get(write) ?? known[index]!);
  }

  async reset(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options: (CallOptions & { readonly force?: boolean }) | undefined,
  ): Promise<void> {
    checkShardId(shardId);
    const unclaimedBy = this.#namespaces.isClaimed(scope) ? undefined : scope;
    const memory = this.#calls.memoryOf(scope);
    const force = options?.force === true;
    const request = statements.reset(memory.partition, shardId, to, force, unclaimedBy);
    const refusals = await this.#calls.client.write(request, options);
    if (refusals === undefined) {
      memory.acknowledged.clear();
      await this.#calls.raiseRevision(memory, options);
      return;
    }
    this.#claims.learn(scope, refusals[statements.ACTION.application]?.item);
    const owner = refusals[statements.ACTION.lease]?.item?.["kc_owner"]?.S;
    throw new LeaseLostError(shardId, `${owner} holds it: stop it, or force the reset`);
  }

  /**
   * One conditional UpdateItem: the shard's item holds a copy of its lease (`kc_writer`) beside the checkpoint. If that
   * copy is missing (a new shard, or Go's PutItem wiped it), the write is a transaction that compares the lease's own
   * item and restores the copy. So it is for a namespace that was not opened: the transaction checks that no other scope
   * has claimed it.
   */
  async #write(
    scope: StoreScope,
    { shardId, checkpoint, fence }: CheckpointWrite,
    claimed: boolean,
    options: CallOptions | undefined,
  ): Promise<BulkCheckpointResult> {
    checkShardId(shardId);
    const { client } = this.#calls;
    const partition = this.#namespaces.partition(scope);
    /** The stored item as far as known: `undefined` until a refusal returns it. */
    let item: Item | undefined;
    if (claimed) {
      const advance = statements.advance(partition, shardId, checkpoint, fence);
      const refusals = await client.write(advance, options);
      if (refusals === undefined) return { outcome: "written", stored: checkpoint };
      item = refusals[0]?.item;
    }
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const { checkpoint: stored, writer } = shardStateOf(item);
      if (writer !== undefined && writer !== writerOf(fence)) return { outcome: "lease-lost" };
      const result = advanceOutcome(checkpoint, stored);
      if (writer !== undefined && result.outcome !== "written") return result;
      const unclaimedBy = claimed ? undefined : scope;
      const refusals = await client.write(
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
      `DynamoDB table ${partition.table}: ${shardId} was changed by other writers during each of ${MAX_ATTEMPTS} attempts`,
      { retryable: true },
    );
  }
}

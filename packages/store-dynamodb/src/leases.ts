import type {
  GetItemCommandOutput,
  QueryCommandOutput,
  UpdateItemCommandOutput,
} from "@aws-sdk/client-dynamodb";
import {
  ownerOf,
  type AcquiredLease,
  type CallOptions,
  type Fence,
  type LeaseRow,
  type LeaseStore,
  type ShardPut,
  type WorkerIdentity,
  type WorkerMembership,
  type WorkerRow,
} from "@kc/core";
import type { Client } from "./client.ts";
import type { Refusal } from "./errors.ts";
import * as statements from "./lease-statements.ts";
import { inParallel } from "./parallel.ts";
import type { PartitionMemory } from "./partition-memory.ts";
import { shardStateOf, type Item } from "./rows.ts";
import {
  leaseOf as leaseKeyOf,
  OWN_PREFIX,
  readItem,
  readPage,
  readRange,
  type Partition,
} from "./statements.ts";

type Answer<Name extends keyof LeaseStore> = LeaseStore[Name] extends (
  ...parameters: never[]
) => infer Result
  ? Result
  : never;

/** So many items are read one by one, at once. For more of them one query is faster. */
const READ_ONE_BY_ONE = 16;

/**
 * Workers and leases of one partition. No transaction spans them all, so a claim goes in steps: the
 * leases as they stand; then the workers that live; then each claim by itself, if its lease still is
 * as it was read. An owner that was read and does not live afterwards is dead for ever.
 *
 * The revision follows each change in a request of its own. If that fails, the next heartbeat makes up
 * for it; if the process dies in between, its eviction raises the revision.
 */
export class DynamoDBLeases {
  readonly #client: Client;
  readonly #partition: Partition;
  readonly #memory: PartitionMemory;
  readonly #options: CallOptions | undefined;

  constructor(
    client: Client,
    partition: Partition,
    memory: PartitionMemory,
    options: CallOptions | undefined,
  ) {
    this.#client = client;
    this.#partition = partition;
    this.#memory = memory;
    this.#options = options;
  }

  async join(worker: WorkerMembership): Answer<"joinWorker"> {
    // Whatever was read before may be of a table that was restored since.
    this.#memory.revision = undefined;
    const put = statements.putWorker(this.#partition, worker);
    const refusals = await this.#change(put);
    if (refusals === undefined) return { outcome: "joined", revision: await this.changed() };
    const incarnation = refusals[0]?.item?.["kc_incarnation"]?.S ?? "";
    return incarnation === worker.incarnation
      ? { outcome: "joined", revision: await this.#readRevision() }
      : { outcome: "duplicate", incarnation };
  }

  /**
   * One request: the revision is the last that was read, as a rule by the look at the workers that
   * goes with each heartbeat.
   */
  async beat(worker: WorkerIdentity): Answer<"heartbeat"> {
    if (this.#memory.owesRevision) await this.changed();
    const update = statements.beat(this.#partition, worker);
    const output = await this.#client.update<UpdateItemCommandOutput>(update, this.#options);
    if (output === undefined) return { outcome: "evicted" };
    const counter = Number(output.Attributes?.["kc_counter"]?.N);
    const revision = this.#memory.revision ?? (await this.#readRevision());
    return { outcome: "alive", counter, revision };
  }

  /** One query: the revision's item comes before the workers'. */
  async listWorkers(): Answer<"listWorkers"> {
    const [first, ...rest] = await this.#query(statements.GROUP);
    const isGroup = first?.["shard_id"]?.S === statements.GROUP;
    const items = isGroup || first === undefined ? rest : [first, ...rest];
    const revision = this.#learn(isGroup ? first : undefined);
    return { revision, workers: items.map(workerOf) };
  }

  async evict(worker: WorkerIdentity & { readonly counter: number }): Answer<"evictWorker"> {
    const remove = statements.removeWorker(this.#partition, worker);
    const refusals = await this.#change(remove);
    if (refusals === undefined) {
      await this.changed();
      return "evicted";
    }
    const { S: standing } = refusals[0]?.item?.["kc_incarnation"] ?? {};
    return standing === worker.incarnation ? "moved" : "gone";
  }

  async leave({ workerId, incarnation }: WorkerIdentity): Promise<void> {
    const remove = statements.removeWorker(this.#partition, { workerId, incarnation });
    if ((await this.#change(remove)) === undefined) await this.changed();
  }

  async put(shards: readonly ShardPut[]): Promise<void> {
    await this.#each(shards, (shard) => statements.putLineage(this.#partition, shard));
  }

  /** The revision's item comes before the leases', and these before the shards'. */
  async list(): Answer<"listLeases"> {
    let revision = 0;
    const rows = new Map<string, Item>();
    const shards = new Map<string, Item>();
    for (const item of await this.#query()) {
      const key = keyOf(item);
      if (key === statements.GROUP) revision = this.#learn(item);
      else if (key.startsWith(statements.LEASE_PREFIX)) rows.set(shardIdOf(item), item);
      else if (!key.startsWith(OWN_PREFIX)) shards.set(key, item);
    }
    const leases = [...rows].flatMap(([shardId, item]): LeaseRow[] => {
      const lineage = item["kc_lineage"]?.S;
      if (lineage === undefined) return [];
      const { checkpoint } = shardStateOf(shards.get(shardId));
      return [{ ...leaseOf(item), checkpoint, lineage }];
    });
    return { revision, leases };
  }

  async acquire(worker: WorkerIdentity, shardIds: readonly string[]): Answer<"acquireLeases"> {
    const { stood, isFree, living } = await this.#read(shardIds);
    const owner = ownerOf(worker);
    if (!living.has(owner)) return [];
    const own = stood.filter((lease) => lease.owner === owner);
    const free = stood.filter(isFree);
    const claimed = await this.#each(
      free,
      (lease) => statements.claim(this.#partition, lease, owner),
      // An earlier call was given up, and its claim came only now: the shard is this worker's.
      (lease, item) => {
        const { epoch, owner: holder } = leaseOf(item);
        return holder === owner && epoch === lease.epoch + 1;
      },
    );
    const held = [...own, ...claimed.map((lease) => ({ ...lease, epoch: lease.epoch + 1 }))];
    const items = await this.#items(held.map(({ shardId }) => shardId));
    return held.map(({ shardId, epoch }): AcquiredLease => {
      const { checkpoint } = shardStateOf(items.get(shardId));
      return { shardId, fence: { epoch, owner }, checkpoint };
    });
  }

  async release(
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
  ): Promise<readonly string[]> {
    const released = await this.#each(leases, ({ shardId, fence }) =>
      statements.release(this.#partition, { shardId, ...fence }),
    );
    return released.map(({ shardId }) => shardId);
  }

  async remove(shardIds: readonly string[]): Promise<void> {
    const { stood, isFree } = await this.#read(shardIds);
    const known = new Set(stood.map(({ shardId }) => shardId));
    const unleased = shardIds
      .filter((shardId) => !known.has(shardId))
      .map((shardId) => ({ shardId, epoch: 0, owner: undefined }));
    await this.#each([...stood.filter(isFree), ...unleased], (lease) =>
      statements.removeShard(this.#partition, lease),
    );
  }

  /** The leases first, then the workers: a worker that held a lease then and has no row now is dead. */
  async #read(shardIds: readonly string[]): Promise<{
    readonly stood: readonly statements.ReadLease[];
    readonly living: ReadonlySet<string>;
    readonly isFree: (lease: statements.ReadLease) => boolean;
  }> {
    const items = await this.#items(shardIds.map(leaseKeyOf));
    const stood = [...items.values()].map(leaseOf);
    const { workers } = await this.listWorkers();
    const living = new Set(workers.map(ownerOf));
    return { stood, living, isFree: ({ owner }) => owner === undefined || !living.has(owner) };
  }

  /**
   * One conditional request for each, some at once; answers with those that were not refused. What
   * was done is announced to the others even if the rest failed.
   * @param isDone of one that was refused: was it done before, as its item shows?
   */
  async #each<Value>(
    values: readonly Value[],
    request: (value: Value) => object,
    isDone: (value: Value, item: Item) => boolean = () => false,
  ): Promise<readonly Value[]> {
    const { answers, failure } = await inParallel(
      values,
      this.#client.concurrency,
      async (value) => {
        const refusals = await this.#change(request(value));
        return refusals === undefined || isDone(value, refusals[0]?.item ?? {});
      },
    );
    const done = values.filter((value) => answers.get(value) === true);
    if (done.length > 0) this.#memory.owesRevision = true;
    this.#options?.signal?.throwIfAborted();
    if (done.length > 0) await this.changed();
    if (failure === undefined) return done;
    this.#memory.owesRevision = true;
    throw failure.error;
  }

  /** What fails may have been done all the same: its revision is owed. */
  async #change(request: object): Promise<readonly Refusal[] | undefined> {
    try {
      return await this.#client.write(request, this.#options);
    } catch (error) {
      this.#memory.owesRevision = true;
      throw error;
    }
  }

  /** Raises the revision: the next look reads the leases. */
  async changed(): Promise<number> {
    this.#memory.owesRevision = true;
    const next = statements.nextRevision(this.#partition);
    const { Attributes } = await this.#client.read<UpdateItemCommandOutput>(next, this.#options);
    this.#memory.owesRevision = false;
    return this.#learn(Attributes);
  }

  async #readRevision(): Promise<number> {
    const { Item: item } = await this.#client.read<GetItemCommandOutput>(
      readItem(this.#partition, statements.GROUP),
      this.#options,
    );
    return this.#learn(item);
  }

  /** The revision of the group's item. Answers may come out of order: it goes back for none. */
  #learn(group: Item | undefined): number {
    const revision = Number(group?.["kc_revision"]?.N ?? 0);
    this.#memory.revision = Math.max(revision, this.#memory.revision ?? 0);
    return revision;
  }

  /** Those of the items that are there. */
  async #items(sortKeys: readonly string[]): Promise<ReadonlyMap<string, Item>> {
    if (sortKeys.length > READ_ONE_BY_ONE) {
      const sorted = sortKeys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      const range = [sorted[0]!, sorted.at(-1)!] as const;
      const wanted = new Set(sortKeys);
      const items = await this.#pages((after) => readRange(this.#partition, range, after));
      return new Map(
        items.map((item) => [keyOf(item), item] as const).filter(([key]) => wanted.has(key)),
      );
    }
    const { answers, failure } = await inParallel(
      sortKeys,
      this.#client.concurrency,
      async (sortKey) => {
        const read = readItem(this.#partition, sortKey);
        return (await this.#client.read<GetItemCommandOutput>(read, this.#options)).Item;
      },
    );
    if (failure !== undefined) throw failure.error;
    const items = [...answers].flatMap(([sortKey, item]) =>
      item === undefined ? [] : [[sortKey, item] as const],
    );
    return new Map(items);
  }

  /** The items of the partition, all or those whose sort key begins so, in its order. */
  #query(prefix?: string): Promise<readonly Item[]> {
    return this.#pages((after) =>
      prefix === undefined
        ? readPage(this.#partition, after)
        : statements.readPrefix(this.#partition, prefix, after),
    );
  }

  async #pages(
    query: (after: QueryCommandOutput["LastEvaluatedKey"]) => object,
  ): Promise<readonly Item[]> {
    const items: Item[] = [];
    let after: QueryCommandOutput["LastEvaluatedKey"];
    do {
      const page = await this.#client.read<QueryCommandOutput>(query(after), this.#options);
      items.push(...(page.Items ?? []));
      after = page.LastEvaluatedKey;
    } while (after !== undefined);
    return items;
  }
}

const keyOf = (item: Item): string => item["shard_id"]?.S ?? "";

function shardIdOf(item: Item): string {
  return keyOf(item).slice(statements.LEASE_PREFIX.length);
}

function leaseOf(item: Item): statements.ReadLease {
  return {
    shardId: shardIdOf(item),
    epoch: Number(item["kc_epoch"]?.N ?? 0),
    owner: item["kc_owner"]?.S,
  };
}

function workerOf(item: Item): WorkerRow {
  const maxShards = item["kc_max_shards"]?.N;
  return {
    workerId: keyOf(item).slice(statements.WORKER_PREFIX.length),
    incarnation: item["kc_incarnation"]?.S ?? "",
    counter: Number(item["kc_counter"]?.N ?? 0),
    weight: Number(item["kc_weight"]?.N ?? 1),
    maxShards: maxShards === undefined ? undefined : Number(maxShards),
  };
}

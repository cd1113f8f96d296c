import type { UpdateItemCommandOutput } from "@aws-sdk/client-dynamodb";
import type {
  CallOptions,
  LeaseStore,
  StoreScope,
  WorkerIdentity,
  WorkerMembership,
  WorkerRow,
} from "@kc/core";
import type { Calls } from "./calls.ts";
import * as statements from "./lease-statements.ts";
import { checkWeight } from "./options.ts";
import { sortKeyOf, type Item } from "./rows.ts";

/** The items of workers. `LeaseStore` documents each method. */
export class Workers {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async join(
    scope: StoreScope,
    worker: WorkerMembership,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["joinWorker"]> {
    checkWeight(worker.weight);
    const memory = this.#calls.memoryOf(scope);
    // A revision that was read before may be from a table that was restored since.
    memory.revision = undefined;
    const put = statements.putWorker(memory.partition, worker);
    const refusals = await this.#calls.change(memory, put, options);
    if (refusals === undefined) {
      return { outcome: "joined", revision: await this.#calls.raiseRevision(memory, options) };
    }
    const incarnation = refusals[0]?.item?.["kc_incarnation"]?.S ?? "";
    return incarnation === worker.incarnation
      ? { outcome: "joined", revision: await this.#calls.readRevision(memory, options) }
      : { outcome: "duplicate", incarnation };
  }

  /**
   * One request. The revision is the last one that was read, usually by the list of workers that accompanies each
   * heartbeat.
   */
  async heartbeat(
    scope: StoreScope,
    worker: WorkerIdentity,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["heartbeat"]> {
    const memory = this.#calls.memoryOf(scope);
    if (memory.hasPendingRevision) await this.#calls.raiseRevision(memory, options);
    const update = statements.heartbeat(memory.partition, worker);
    const output = await this.#calls.client.update<UpdateItemCommandOutput>(update, options);
    if (output === undefined) return { outcome: "evicted" };
    const counter = Number(output.Attributes?.["kc_counter"]?.N);
    const revision = memory.revision ?? (await this.#calls.readRevision(memory, options));
    return { outcome: "alive", counter, revision };
  }

  /** One query, in which the revision's item comes before the workers'. */
  async list(
    scope: StoreScope,
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["listWorkers"]> {
    const memory = this.#calls.memoryOf(scope);
    const [first, ...rest] = await this.#calls.pages(
      (after) => statements.readPrefix(memory.partition, statements.GROUP, after),
      options,
    );
    const isGroup = first?.["shard_id"]?.S === statements.GROUP;
    const items = isGroup || first === undefined ? rest : [first, ...rest];
    const revision = this.#calls.learnRevision(memory, isGroup ? first : undefined);
    return { revision, workers: items.map(workerOf) };
  }

  async evict(
    scope: StoreScope,
    worker: WorkerIdentity & { readonly counter: number },
    options: CallOptions | undefined,
  ): ReturnType<LeaseStore["evictWorker"]> {
    const memory = this.#calls.memoryOf(scope);
    const remove = statements.removeWorker(memory.partition, worker);
    const refusals = await this.#calls.change(memory, remove, options);
    if (refusals === undefined) {
      await this.#calls.raiseRevision(memory, options);
      return "evicted";
    }
    const { S: existing } = refusals[0]?.item?.["kc_incarnation"] ?? {};
    return existing === worker.incarnation ? "moved" : "gone";
  }

  async leave(
    scope: StoreScope,
    { workerId, incarnation }: WorkerIdentity,
    options: CallOptions | undefined,
  ): Promise<void> {
    const memory = this.#calls.memoryOf(scope);
    const remove = statements.removeWorker(memory.partition, { workerId, incarnation });
    const refusals = await this.#calls.change(memory, remove, options);
    if (refusals === undefined) await this.#calls.raiseRevision(memory, options);
  }
}

function workerOf(item: Item): WorkerRow {
  const maxShards = item["kc_max_shards"]?.N;
  return {
    workerId: sortKeyOf(item).slice(statements.WORKER_PREFIX.length),
    incarnation: item["kc_incarnation"]?.S ?? "",
    counter: Number(item["kc_counter"]?.N ?? 0),
    weight: Number(item["kc_weight"]?.N ?? 1),
    maxShards: maxShards === undefined ? undefined : Number(maxShards),
  };
}

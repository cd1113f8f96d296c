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
import type { Connection, ScriptCall } from "./connection.ts";
import * as lua from "./lease-statements.ts";
import { REMEMBERED_S, type Memory } from "./memory.ts";
import { textsOf } from "./replies.ts";
import type { ShardReply } from "./rows.ts";
import type { Script } from "./statements.ts";

type Answer<Name extends keyof LeaseStore> = LeaseStore[Name] extends (
  ...parameters: never[]
) => infer Result
  ? Result
  : never;

/**
 * Workers and leases of one application. In a cluster the group and each shard have slots of their
 * own, so that a claim takes four steps: the shards as they stand; which have rows; the workers that
 * live; then for each shard a claim that compares what was read first. An owner that was read and does not live
 * afterwards is dead for ever, and no other worker can have claimed in between, since that raises the
 * epoch.
 */
export class RedisLeases {
  readonly #connection: Connection;
  readonly #memory: Memory;
  readonly #options: CallOptions | undefined;
  readonly #read: (shardIds: readonly string[]) => Promise<readonly ShardReply[]>;
  readonly #learn: (
    shardIds: readonly string[],
    replies: readonly unknown[],
  ) => readonly ShardReply[];

  constructor(options: {
    readonly connection: Connection;
    readonly memory: Memory;
    readonly options: CallOptions | undefined;
    readonly read: (shardIds: readonly string[]) => Promise<readonly ShardReply[]>;
    readonly learn: (
      shardIds: readonly string[],
      replies: readonly unknown[],
    ) => readonly ShardReply[];
  }) {
    this.#connection = options.connection;
    this.#memory = options.memory;
    this.#options = options.options;
    this.#read = options.read;
    this.#learn = options.learn;
  }

  async join({ workerId, incarnation, weight, maxShards }: WorkerMembership): Answer<"joinWorker"> {
    const args = [workerId, incarnation, String(weight), String(maxShards ?? "")];
    const [outcome, detail = ""] = await this.#group(lua.JOIN, args);
    return outcome === "joined"
      ? { outcome, revision: Number(detail) }
      : { outcome: "duplicate", incarnation: detail };
  }

  async beat({ workerId, incarnation }: WorkerIdentity): Answer<"heartbeat"> {
    if (this.#memory.owesRevision) await this.changed();
    const [outcome, counter, revision] = await this.#group(lua.BEAT, [workerId, incarnation]);
    if (outcome !== "alive") return { outcome: "evicted" };
    return { outcome, counter: Number(counter), revision: Number(revision) };
  }

  async listWorkers(): Answer<"listWorkers"> {
    const fields = pairsOf(await this.#group(lua.READ_GROUP, []));
    const workers = [...fields.keys()]
      .filter((field) => field.startsWith("i:"))
      .map((field): WorkerRow => {
        const workerId = field.slice(2);
        const maxShards = fields.get(`m:${workerId}`);
        return {
          workerId,
          incarnation: fields.get(field)!,
          counter: Number(fields.get(`c:${workerId}`)),
          weight: Number(fields.get(`w:${workerId}`)),
          maxShards: maxShards ? Number(maxShards) : undefined,
        };
      });
    return { revision: Number(fields.get("revision") ?? 0), workers };
  }

  async evict(worker: WorkerIdentity & { readonly counter: number }): Answer<"evictWorker"> {
    const args = [worker.workerId, worker.incarnation, String(worker.counter)];
    const [outcome] = await this.#group(lua.EVICT, args);
    return outcome === "evicted" || outcome === "moved" ? outcome : "gone";
  }

  async leave({ workerId, incarnation }: WorkerIdentity): Promise<void> {
    await this.#group(lua.LEAVE, [workerId, incarnation]);
  }

  async put(shards: readonly ShardPut[]): Promise<void> {
    const args = shards.flatMap(({ shardId, lineage, replaces }) => [
      shardId,
      lineage,
      replaces === undefined ? "" : `=${replaces}`,
    ]);
    if (args.length > 0) await this.#group(lua.PUT_LINEAGES, args);
  }

  /** The revision is read before the shards: it is not newer than they are. */
  async list(): Answer<"listLeases"> {
    const [revision, ...fields] = await this.#group(lua.READ_LINEAGES, []);
    const lineages = pairsOf(fields);
    this.#memory.forgetRemoved(lineages);
    const shardIds = [...lineages.keys()];
    const shards = await this.#read(shardIds);
    const leases = shards.map(({ owner, epoch, gone, checkpoint }, index): LeaseRow => {
      const shardId = shardIds[index]!;
      const lineage = lineages.get(shardId)!;
      return { shardId, owner, epoch: gone ? 0 : epoch, checkpoint, lineage };
    });
    return { revision: Number(revision), leases };
  }

  async acquire(worker: WorkerIdentity, wanted: readonly string[]): Answer<"acquireLeases"> {
    if (wanted.length === 0) return [];
    const read = await this.#read(wanted);
    // After the look at the shards: where one was gone by then and no removal is noted any more, that
    // removal has taken its row away, and one that stands now is a new one.
    const rows = await this.#group(lua.HAVE_LINEAGES, wanted);
    const isThere = (index: number): boolean =>
      rows[index] === "1" || (rows[index] === "removing" && !read[index]!.gone);
    const shardIds = wanted.filter((_, index) => isThere(index));
    const stood = read.filter((_, index) => isThere(index));
    const living = await this.#living();
    const owner = ownerOf(worker);
    if (!living.has(owner)) return [];
    const free = [...stood.entries()].filter(([, shard]) => isFree(shard, living));
    const claimedIds = free.map(([index]) => shardIds[index]!);
    const replies = await this.#change(
      lua.CLAIM,
      free.map(([index, shard]) => ({
        keys: this.#memory.keys.shard(shardIds[index]!),
        args: [String(shard.epoch), shard.owner ?? "", owner],
      })),
    );
    const after = [...stood];
    for (const [n, shard] of this.#learn(claimedIds, replies).entries()) after[free[n]![0]] = shard;
    if (replies.length > 0) await this.#raise("");
    return after.flatMap((shard, index): AcquiredLease[] => {
      if (shard.owner !== owner) return [];
      const fence = { epoch: shard.epoch, owner };
      return [{ shardId: shardIds[index]!, fence, checkpoint: shard.checkpoint }];
    });
  }

  async release(
    leases: readonly { readonly shardId: string; readonly fence: Fence }[],
  ): Promise<readonly string[]> {
    const replies = await this.#change(
      lua.RELEASE,
      leases.map(({ shardId, fence: { epoch, owner } }) => ({
        keys: this.#memory.keys.shard(shardId),
        args: [String(epoch), owner],
      })),
    );
    const released = leases
      .filter((_, index) => textsOf(replies[index])[0] === "released")
      .map(({ shardId }) => shardId);
    if (released.length > 0) await this.changed();
    return released;
  }

  /**
   * Answers with the shards that are gone. A removal notes itself beside the leases' rows first: until
   * a row is gone too, no worker claims its shard; and a removal that stood still in between takes no row
   * that was put after another one.
   */
  async remove(name: string, shardIds: readonly string[]): Promise<readonly string[]> {
    if (shardIds.length === 0) return [];
    await this.#group(lua.NOTE_REMOVAL, [name, ...shardIds]);
    const stood = await this.#read(shardIds);
    const living = await this.#living();
    const free = [...stood.entries()].filter(([, shard]) => isFree(shard, living));
    const replies = await this.#change(
      lua.REMOVE_SHARD,
      free.map(([index, { epoch, owner }]) => ({
        keys: this.#memory.keys.shard(shardIds[index]!),
        args: [String(epoch), owner ?? "", String(REMEMBERED_S), name],
      })),
    );
    const removed = free
      .filter((_, n) => textsOf(replies[n])[0] === "removed")
      .map(([index]) => shardIds[index]!);
    const gone = new Set(removed);
    const ends = shardIds.flatMap((shardId) => [shardId, gone.has(shardId) ? "1" : ""]);
    await this.#group(lua.END_REMOVAL, [name, ...ends]);
    return removed;
  }

  /** Leases have changed otherwise than here: others should look. */
  async changed(): Promise<void> {
    await this.#raise("1");
  }

  async #raise(hinted: "" | "1"): Promise<void> {
    this.#memory.owesRevision = true;
    await this.#group(lua.CHANGED, [hinted]);
    this.#memory.owesRevision = false;
  }

  /** What fails may have been done all the same, of some shards: its revision is owed. */
  async #change(script: Script, calls: readonly ScriptCall[]): Promise<readonly unknown[]> {
    try {
      return await this.#connection.run(script, calls, this.#options);
    } catch (error) {
      this.#memory.owesRevision = true;
      throw error;
    }
  }

  async #living(): Promise<ReadonlySet<string>> {
    const { workers } = await this.listWorkers();
    return new Set(workers.map(ownerOf));
  }

  async #group(script: Script, args: readonly string[]): Promise<readonly string[]> {
    const { group, lineages } = this.#memory.keys;
    const call = { keys: [group, lineages], args };
    const [reply] = await this.#connection.run(script, [call], this.#options);
    return textsOf(reply);
  }
}

function isFree({ owner }: ShardReply, living: ReadonlySet<string>): boolean {
  return owner === undefined || !living.has(owner);
}

function pairsOf(texts: readonly string[]): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  for (let index = 0; index < texts.length; index += 2) pairs.set(texts[index]!, texts[index + 1]!);
  return pairs;
}

import {
  LeaseLostError,
  type BulkCheckpointResult,
  type CallOptions,
  type Checkpoint,
  type CheckpointWrite,
  type StoreScope,
} from "@kc/core";
import type { Applications } from "./applications.ts";
import type { Calls } from "./calls.ts";
import { checkpointArguments, type ShardReply } from "./rows.ts";
import { ADVANCE_SHARD, RESET_SHARD } from "./statements.ts";

/** The checkpoints of shards. `Store` documents each method. */
export class Checkpoints {
  readonly #calls: Calls;
  readonly #applications: Applications;

  constructor(calls: Calls, applications: Applications) {
    this.#calls = calls;
    this.#applications = applications;
  }

  async get(
    scope: StoreScope,
    shardId: string,
    options: CallOptions | undefined,
  ): Promise<Checkpoint | undefined> {
    const memory = this.#calls.memoryOf(scope);
    if (memory.row === "") await this.#applications.read(scope, options);
    const [shard] = await this.#calls.readShards(memory, [shardId], options);
    return shard?.checkpoint;
  }

  /** Two round trips: the application's list of shards, then their states. */
  async all(
    scope: StoreScope,
    options: CallOptions | undefined,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    const memory = this.#calls.memoryOf(scope);
    const searched = await this.#applications.read(scope, options);
    if (!memory.searched && !searched) await this.#applications.searchForGo(memory, options);

    const checkpoints = new Map<string, Checkpoint>();
    const read = async (shardIds: readonly string[]): Promise<boolean> => {
      const shards = await this.#calls.readShards(memory, shardIds, options);
      for (const [index, { checkpoint }] of shards.entries()) {
        if (checkpoint !== undefined) checkpoints.set(shardIds[index]!, checkpoint);
      }
      return shards.some(({ byGo }) => byGo);
    };
    const shardIds = [...new Set([...memory.listed, ...memory.shardIds])];
    const goWrote = await read(shardIds);
    const isAnyOpen = [...checkpoints.values()].some(({ kind }) => kind === "position");
    if ((goWrote || !isAnyOpen) && !memory.searched) {
      // The Go library has written since, and may have read new shards. It also may have if all known shards have
      // ended: it would not have written to any of them, so nothing else would show it.
      await this.#applications.searchForGo(memory, options);
      await read([...memory.listed].filter((shardId) => !shardIds.includes(shardId)));
    }
    return checkpoints;
  }

  /** @param relisted by shard, the removal after which this call has listed it again */
  async set(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options: CallOptions | undefined,
    relisted: ReadonlyMap<string, string | undefined> = new Map(),
  ): Promise<readonly BulkCheckpointResult[]> {
    const memory = this.#calls.memoryOf(scope);
    const shardIds = writes.map(({ shardId }) => shardId);
    await this.#applications.list(scope, shardIds, options);
    const calls = writes.map((write) => ({
      keys: memory.keys.shard(write.shardId),
      args: memory.write(write, relisted.get(write.shardId)),
    }));
    const replies = await this.#calls.connection.run(ADVANCE_SHARD, calls, options);
    const shards = this.#calls.learn(memory, shardIds, replies);
    const gone = new Map(
      shards.flatMap((shard, i) =>
        shard.outcome === "gone" ? [[shardIds[i]!, shard.gone] as const] : [],
      ),
    );
    if (gone.size === 0) return shards.map(resultOf);
    const open = writes.filter(({ shardId }) => gone.has(shardId));
    const again = (await this.set(scope, open, options, gone)).values();
    return shards.map((shard) =>
      shard.outcome === "gone" ? again.next().value! : resultOf(shard),
    );
  }

  async reset(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options: (CallOptions & { readonly force?: boolean }) | undefined,
  ): Promise<void> {
    const memory = this.#calls.memoryOf(scope);
    memory.listed.delete(shardId); // it may have been unlisted since
    await this.#applications.list(scope, [shardId], options);
    const args = [...checkpointArguments(to), options?.force === true ? "1" : ""];
    const call = { keys: memory.keys.shard(shardId), args };
    const replies = await this.#calls.connection.run(RESET_SHARD, [call], options);
    const [shard] = this.#calls.learn(memory, [shardId], replies);
    if (shard?.outcome === "lease-lost") {
      throw new LeaseLostError(shardId, `${shard.owner} holds it: stop it, or force the reset`);
    }
    await this.#calls.raiseRevision(memory, "1", options);
  }
}

function resultOf({ outcome, checkpoint }: ShardReply): BulkCheckpointResult {
  if (outcome === "lease-lost") return { outcome };
  const known = outcome === "written" || outcome === "same" || outcome === "behind";
  if (known && checkpoint !== undefined) return { outcome, stored: checkpoint };
  throw new Error(`the script answered ${outcome}`);
}

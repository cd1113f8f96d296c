import { formatCheckpoint, type CallOptions, type StoreScope } from "@kc/core";
import type { Connection, ScriptCall } from "./connection.ts";
import { ApplicationKeys } from "./keys.ts";
import { RAISE_REVISION } from "./lease-statements.ts";
import { ApplicationMemory, regressed } from "./application-memory.ts";
import { textsOf } from "./replies.ts";
import { shardOf, type ShardReply } from "./rows.ts";
import type { Script } from "./script.ts";
import { READ_SHARD } from "./statements.ts";

/** What all calls of a store share: the memory of each application, and the revision of its leases. */
export class Calls {
  readonly connection: Connection;
  readonly #keyPrefix: string;
  readonly #memories = new Map<string, ApplicationMemory>();

  constructor(connection: Connection, keyPrefix: string) {
    this.connection = connection;
    this.#keyPrefix = keyPrefix;
  }

  /** @throws ConfigError for a name that cannot be part of a key. */
  memoryOf(scope: StoreScope): ApplicationMemory {
    const key = JSON.stringify([scope.application, scope.streamName]);
    let memory = this.#memories.get(key);
    if (memory === undefined) {
      memory = new ApplicationMemory(new ApplicationKeys(this.#keyPrefix, scope));
      this.#memories.set(key, memory);
    }
    return memory;
  }

  /** Reads the current state of shards. @throws as `learn` does */
  async readShards(
    memory: ApplicationMemory,
    shardIds: readonly string[],
    options: CallOptions | undefined,
  ): Promise<readonly ShardReply[]> {
    const calls = shardIds.map((shardId) => ({
      keys: memory.keys.shard(shardId),
      args: memory.shard(shardId),
    }));
    const replies = await this.connection.run(READ_SHARD, calls, options);
    return this.learn(memory, shardIds, replies);
  }

  /**
   * Remembers the states of shards in the replies of scripts.
   * @throws StoreRegressedError if a shard's state is lower than the one seen before
   */
  learn(
    memory: ApplicationMemory,
    shardIds: readonly string[],
    replies: readonly unknown[],
  ): readonly ShardReply[] {
    return replies.map((reply, index) => {
      const shardId = shardIds[index]!;
      const shard = shardOf(shardId, reply);
      if (shard.outcome === "regressed") {
        const current = shard.checkpoint ? formatCheckpoint(shard.checkpoint) : "no checkpoint";
        throw regressed(`${shardId} has ${current}, and had a later checkpoint or epoch`);
      }
      // A removed shard's epoch is not kept for ever, so the seen state is no longer valid.
      if (shard.gone) memory.forget(shardId);
      else if (shard.outcome !== "lease-lost") memory.learn(shardId, shard);
      return shard;
    });
  }

  /** Runs a script on the keys that all workers of an application share. */
  async group(
    memory: ApplicationMemory,
    script: Script,
    args: readonly string[],
    options: CallOptions | undefined,
  ): Promise<readonly string[]> {
    const { group, lineages } = memory.keys;
    const [reply] = await this.connection.run(script, [{ keys: [group, lineages], args }], options);
    return textsOf(reply);
  }

  /** As the connection's `run`. A failed call may still have changed leases, so their revision is pending. */
  async change(
    memory: ApplicationMemory,
    script: Script,
    calls: readonly ScriptCall[],
    options: CallOptions | undefined,
  ): Promise<readonly unknown[]> {
    try {
      return await this.connection.run(script, calls, options);
    } catch (error) {
      memory.hasPendingRevision = true;
      throw error;
    }
  }

  /** @param hinted "1" sends the other workers a hint to read the leases now */
  async raiseRevision(
    memory: ApplicationMemory,
    hinted: "" | "1",
    options: CallOptions | undefined,
  ): Promise<void> {
    memory.hasPendingRevision = true;
    await this.group(memory, RAISE_REVISION, [hinted], options);
    memory.hasPendingRevision = false;
  }
}

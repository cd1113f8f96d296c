import { type CheckpointWrite, type StoreScope } from "@kc/core";
import { namespaceOf } from "@kc/core/adapter";

export type Shard = Pick<CheckpointWrite, "shardId">;

/**
 * The shards whose rows another transaction may have locked: those of calls that met a lock. A successful write or
 * claim of a shard removes it, so several callers of one store do not affect each other.
 */
export class LockedShards {
  readonly #keys = new Set<string>();

  add(scope: StoreScope, shards: readonly Shard[]): void {
    for (const shard of shards) this.#keys.add(keyOf(scope, shard));
  }

  /** Whether one of the shards is among them. */
  hasSome(scope: StoreScope, shards: readonly Shard[]): boolean {
    return this.#keys.size > 0 && shards.some((shard) => this.#keys.has(keyOf(scope, shard)));
  }

  delete(scope: StoreScope, shards: readonly Shard[]): void {
    if (this.#keys.size === 0) return;
    for (const shard of shards) this.#keys.delete(keyOf(scope, shard));
  }
}

const keyOf = (scope: StoreScope, { shardId }: Shard): string => `${namespaceOf(scope)} ${shardId}`;

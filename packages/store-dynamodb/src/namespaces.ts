import { ConfigError, type StoreScope } from "@kc/core";
import { checkClaim, namespaceOf } from "@kc/core/adapter";
import { OWN_PREFIX, type Partition } from "./statements.ts";

/**
 * The partitions and their known claims. `a-b` on `c` and `a` on `b-c` have the same namespace: its application row
 * names the scope that has claimed it. A claim is permanent, so one that was read is cached.
 */
export class Namespaces {
  readonly #table: string;
  readonly #fixed: string | undefined;
  readonly #claims: Map<string, StoreScope> = new Map();

  constructor({
    table,
    namespace,
  }: {
    readonly table: string;
    readonly namespace: string | undefined;
  }) {
    this.#table = table;
    this.#fixed = namespace;
  }

  partition(scope: StoreScope): Partition {
    return { table: this.#table, namespace: this.#fixed ?? namespaceOf(scope) };
  }

  /** Returns false if no claim is known. @throws NamespaceConflictError if another scope is known to have claimed it */
  isClaimed(scope: StoreScope): boolean {
    const { namespace } = this.partition(scope);
    const claim = this.#claims.get(namespace);
    const where = `namespace "${namespace}" of DynamoDB table ${this.#table}`;
    checkClaim(claim, scope, where, "`namespace` or `table`");
    return claim !== undefined;
  }

  /** Caches the application row of the scope's partition. */
  learn(scope: StoreScope, { application, streamName }: StoreScope): void {
    this.#claims.set(this.partition(scope).namespace, { application, streamName });
  }
}

/** @throws ConfigError for an id that could be one of our own items. Shards of Kinesis have no such ids */
export function checkShardId(shardId: string): void {
  if (shardId.startsWith(OWN_PREFIX)) {
    throw new ConfigError("shardId", `no shard's id begins with ${OWN_PREFIX}: ${shardId}`);
  }
}

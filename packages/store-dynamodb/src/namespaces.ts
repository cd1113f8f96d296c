import { ConfigError, type StoreScope } from "@kc/core";
import { checkClaim, namespaceOf } from "@kc/core/adapter";
import { OWN_PREFIX, type Partition } from "./statements.ts";

/**
 * Which partition is whose. `a-b` on `c` and `a` on `b-c` have one namespace: the application row in
 * it names the one that claimed it. A claim is never given up, so one that was seen once is kept.
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

  /** False = not known. @throws NamespaceConflictError if another scope is known to have it. */
  isClaimed(scope: StoreScope): boolean {
    const { namespace } = this.partition(scope);
    const claim = this.#claims.get(namespace);
    const where = `namespace "${namespace}" of DynamoDB table ${this.#table}`;
    checkClaim(claim, scope, where, "`namespace` or `table`");
    return claim !== undefined;
  }

  /** Takes note of an application row that stands in the scope's partition. */
  learn(scope: StoreScope, { application, streamName }: StoreScope): void {
    this.#claims.set(this.partition(scope).namespace, { application, streamName });
  }
}

/** @throws ConfigError for what would be one of our own items; no shard of Kinesis is named so. */
export function checkShardId(shardId: string): void {
  if (shardId.startsWith(OWN_PREFIX)) {
    throw new ConfigError("shardId", `no shard's id begins with ${OWN_PREFIX}: ${shardId}`);
  }
}

import type {
  GetItemCommandOutput,
  QueryCommandOutput,
  UpdateItemCommandOutput,
} from "@aws-sdk/client-dynamodb";
import type { CallOptions, StoreScope } from "@kc/core";
import type { Client } from "./client.ts";
import type { Refusal } from "./errors.ts";
import { GROUP, raiseRevision } from "./lease-statements.ts";
import type { Namespaces } from "./namespaces.ts";
import { PartitionMemory } from "./partition-memory.ts";
import type { Item } from "./rows.ts";
import { readItem } from "./statements.ts";

/**
 * What all calls of a store share: the memory of each partition, and the revision of its leases.
 *
 * The revision is raised after each change, by a separate request. If that fails, the next heartbeat raises it. If the
 * process dies in between, its eviction raises the revision.
 */
export class Calls {
  readonly client: Client;
  readonly #namespaces: Namespaces;
  /** By namespace. */
  readonly #memories = new Map<string, PartitionMemory>();

  constructor(client: Client, namespaces: Namespaces) {
    this.client = client;
    this.#namespaces = namespaces;
  }

  memoryOf(scope: StoreScope): PartitionMemory {
    const partition = this.#namespaces.partition(scope);
    let memory = this.#memories.get(partition.namespace);
    if (memory === undefined) {
      memory = new PartitionMemory(partition);
      this.#memories.set(partition.namespace, memory);
    }
    return memory;
  }

  /** The items of all pages of a query. */
  async pages(
    query: (after: QueryCommandOutput["LastEvaluatedKey"]) => object,
    options: CallOptions | undefined,
  ): Promise<readonly Item[]> {
    const items: Item[] = [];
    let after: QueryCommandOutput["LastEvaluatedKey"];
    do {
      const page = await this.client.read<QueryCommandOutput>(query(after), options);
      items.push(...(page.Items ?? []));
      after = page.LastEvaluatedKey;
    } while (after !== undefined);
    return items;
  }

  /** Writes workers or leases. A failed write may still have taken effect, so its revision is pending. */
  async change(
    memory: PartitionMemory,
    request: object,
    options: CallOptions | undefined,
  ): Promise<readonly Refusal[] | undefined> {
    try {
      return await this.client.write(request, options);
    } catch (error) {
      memory.hasPendingRevision = true;
      throw error;
    }
  }

  /** Raises the revision, so that each worker reads the leases at its next heartbeat. Returns the new revision. */
  async raiseRevision(memory: PartitionMemory, options: CallOptions | undefined): Promise<number> {
    memory.hasPendingRevision = true;
    const next = raiseRevision(memory.partition);
    const { Attributes } = await this.client.read<UpdateItemCommandOutput>(next, options);
    memory.hasPendingRevision = false;
    return this.learnRevision(memory, Attributes);
  }

  async readRevision(memory: PartitionMemory, options: CallOptions | undefined): Promise<number> {
    const read = readItem(memory.partition, GROUP);
    const { Item: item } = await this.client.read<GetItemCommandOutput>(read, options);
    return this.learnRevision(memory, item);
  }

  /** Remembers the revision in the group's item. Replies may arrive out of order, so it never decreases. */
  learnRevision(memory: PartitionMemory, group: Item | undefined): number {
    const revision = Number(group?.["kc_revision"]?.N ?? 0);
    memory.revision = Math.max(revision, memory.revision ?? 0);
    return revision;
  }
}

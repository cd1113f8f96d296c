import type { GetItemCommandOutput } from "@aws-sdk/client-dynamodb";
import type { CallOptions, StoreScope } from "@kc/core";
import type { Client } from "./client.ts";
import type { Namespaces } from "./namespaces.ts";
import { applicationOf, type Item } from "./rows.ts";
import * as statements from "./statements.ts";

/** The claims to namespaces. A claim that no call has seen yet is read from the table. */
export class NamespaceClaims {
  readonly #client: Client;
  readonly #namespaces: Namespaces;

  constructor(client: Client, namespaces: Namespaces) {
    this.#client = client;
    this.#namespaces = namespaces;
  }

  /** Returns false if no scope has claimed it. @throws NamespaceConflictError if another scope has */
  async isClaimed(scope: StoreScope, options: CallOptions | undefined): Promise<boolean> {
    if (this.#namespaces.isClaimed(scope)) return true;
    const { Item: item } = await this.#client.read<GetItemCommandOutput>(
      statements.readItem(this.#namespaces.partition(scope), statements.APPLICATION),
      options,
    );
    this.learn(scope, item);
    return this.#namespaces.isClaimed(scope);
  }

  /** @throws NamespaceConflictError if this application row is another scope's. */
  learn(scope: StoreScope, item: Item | undefined): void {
    if (item !== undefined) this.#namespaces.learn(scope, applicationOf(item));
    this.#namespaces.isClaimed(scope);
  }
}

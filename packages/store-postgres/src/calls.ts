import { StoreError, type CallOptions, type StoreScope } from "@kc/core";
import { checkClaim, namespaceOf } from "@kc/core/adapter";
import type { PostgresRows } from "./driver.ts";
import type { Connection } from "./connection.ts";
import { claimOf } from "./rows.ts";
import type { Tables } from "./tables.ts";

/** What every statement is made from. */
export interface Place {
  readonly tables: Tables;
  readonly scope: StoreScope;
  readonly namespace: string;
  /** The channel on which changes of this namespace are announced. */
  readonly channel: string;
  /** The driver's quoting of values. */
  readonly quote: (value: string) => string;
}

/** Runs statements for a scope: each call is one transaction in one round trip. */
export class Calls {
  readonly tables: Tables;
  readonly connection: Connection;
  readonly #namespace: string | undefined;

  constructor(connection: Connection, tables: Tables, namespace: string | undefined) {
    this.connection = connection;
    this.tables = tables;
    this.#namespace = namespace;
  }

  async run(
    scope: StoreScope,
    options: CallOptions | undefined,
    make: (place: Place) => readonly string[],
  ): Promise<readonly PostgresRows[]> {
    return this.connection.run((quote) => make(this.placeOf(scope, quote)), options);
  }

  placeOf(scope: StoreScope, quote: (value: string) => string): Place {
    const [namespace, channel] = [this.#namespaceOf(scope), this.channelOf(scope)];
    return { tables: this.tables, scope, namespace, channel, quote };
  }

  /** As `run`, of statements the first of which reads the claim; answers with the others' rows. */
  async runClaimed(
    scope: StoreScope,
    options: CallOptions | undefined,
    make: (place: Place) => readonly string[],
  ): Promise<readonly PostgresRows[]> {
    const [claim, ...rest] = await this.run(scope, options, make);
    this.checkClaim(scope, claim!);
    return rest;
  }

  /** @throws StoreError NAMESPACE_CONFLICT */
  checkClaim(scope: StoreScope, claim: PostgresRows): void {
    const where = `namespace "${this.#namespaceOf(scope)}"`;
    checkClaim(claimOf(claim[0]), scope, where, "`namespace` or `table`");
  }

  /** The row was locked and compared: nothing else keeps a write that is further on. */
  refusedByTrigger(shardId: string): StoreError {
    return new StoreError(
      "STORE_FAILED",
      `${this.connection.where}: the checkpoint of ${shardId} was not written, though it is further ` +
        `on: a trigger or rule of the table's owner keeps it from being written. Drop it`,
      { shardId },
    );
  }

  channelOf(scope: StoreScope): string {
    return this.tables.channelOf(this.#namespaceOf(scope));
  }

  #namespaceOf(scope: StoreScope): string {
    return this.#namespace ?? namespaceOf(scope);
  }
}

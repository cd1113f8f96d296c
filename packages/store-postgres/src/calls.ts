import { StoreError, type CallOptions, type StoreScope } from "@kc/core";
import { checkClaim, namespaceOf } from "@kc/core/adapter";
import type { PostgresRows } from "./driver.ts";
import type { Connection } from "./connection.ts";
import { claimOf } from "./rows.ts";
import type { Tables } from "./tables.ts";

/** What every statement is built from: the tables, the namespace and the quoting of values. */
export interface Place {
  readonly tables: Tables;
  readonly scope: StoreScope;
  readonly namespace: string;
  /** The NOTIFY channel on which changes in this namespace are announced. */
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

  /** As `run`, but the first statement reads the namespace's claim, which is checked. Returns the others' rows. */
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

  /** The row was locked and compared, so only a trigger or rule can have prevented the write. */
  refusedByTrigger(shardId: string): StoreError {
    return new StoreError(
      "STORE_FAILED",
      `${this.connection.where}: the checkpoint of ${shardId} was not written, although it is ahead of the ` +
        `stored one: a trigger or rule on the table prevents the write. Drop it`,
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

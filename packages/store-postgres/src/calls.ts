import { type CallOptions, type StoreScope } from "@kc/core";
import { checkClaim, namespaceOf } from "@kc/core/adapter";
import type { PostgresRows } from "./client.ts";
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
    const [namespace, channel] = [this.#namespaceOf(scope), this.channelOf(scope)];
    return this.connection.run(
      (quote) => make({ tables: this.tables, scope, namespace, channel, quote }),
      options,
    );
  }

  /** As `run`, of statements the first of which reads the claim; answers with the others' rows. */
  async runClaimed(
    scope: StoreScope,
    options: CallOptions | undefined,
    make: (place: Place) => readonly string[],
  ): Promise<readonly PostgresRows[]> {
    const [claim, ...rest] = await this.run(scope, options, make);
    const where = `namespace "${this.#namespaceOf(scope)}"`;
    checkClaim(claimOf(claim![0]), scope, where, "`namespace` or `table`");
    return rest;
  }

  channelOf(scope: StoreScope): string {
    return this.tables.channelOf(this.#namespaceOf(scope));
  }

  #namespaceOf(scope: StoreScope): string {
    return this.#namespace ?? namespaceOf(scope);
  }
}

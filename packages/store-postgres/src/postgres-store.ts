import {
  checkClaim,
  compareCheckpoints,
  KcError,
  LeaseLostError,
  namespaceOf,
  singleResult,
  StoreError,
  type ApplicationRow,
  type BulkCheckpointResult,
  type CallOptions,
  type Checkpoint,
  type CheckpointWrite,
  type SetCheckpointResult,
  type Store,
  type StoreCapabilities,
  type StoreScope,
} from "@kc/core";
import type { PostgresRows } from "./client.ts";
import { Connection } from "./connection.ts";
import { checkOptions, type PostgresStoreOptions } from "./options.ts";
import { applicationOf, checkpointOf, claimOf } from "./rows.ts";
import { ddl, inspect, inspectionOf, LOCK_SETUP, missing, refusedSetup } from "./schema.ts";
import * as sql from "./statements.ts";
import { tablesOf, type Tables } from "./tables.ts";

/**
 * Progress in Postgres, in the Go library's own table. Every call is one round trip and one
 * transaction. The first call connects, not the constructor; the tables are made by `setup()` or by
 * hand, never by another call.
 */
export class PostgresStore implements Store {
  readonly capabilities: StoreCapabilities = {
    leases: false,
    fences: true,
    flushIntervalMs: 1000,
    flush: "together",
  };
  readonly #connection: Connection;
  readonly #tables: Tables;
  readonly #namespace: string | undefined;
  readonly #setupTimeoutMs: number;

  /** @throws ConfigError if an option is wrong. */
  constructor(options: PostgresStoreOptions) {
    const checked = checkOptions(options);
    this.#tables = tablesOf(checked);
    this.#namespace = checked.namespace;
    this.#setupTimeoutMs = checked.timeoutMs;
    this.#connection = new Connection(checked, this.#tables.checkpoints, ddl(this.#tables));
  }

  /**
   * Looks first, and changes nothing where nothing is missing: that takes no right to create.
   * @throws StoreError STORE_ACCESS_DENIED with the statements to run; STORE_SCHEMA if a table is
   * somebody else's
   */
  async setup(options?: CallOptions): Promise<void> {
    const steps = await this.#missing(options);
    if (steps === undefined) return;
    try {
      // Others' writes may hold a lock on the table, and another's set-up holds the first one.
      const waiting = { ...options, lockTimeoutMs: this.#setupTimeoutMs };
      await this.#connection.run(() => [LOCK_SETUP, ...steps], waiting);
    } catch (error) {
      if (!KcError.is(error) || error.code !== "STORE_ACCESS_DENIED") throw error;
      throw refusedSetup(error.cause, this.#connection.where, steps);
    }
    if ((await this.#missing(options)) === undefined) return;
    throw new StoreError(
      "STORE_SCHEMA",
      `${this.#connection.where}: it was changed during setup()`,
    );
  }

  async openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    const [put, [stands] = []] = await this.#run(scope, options, (place) =>
      sql.openApplication(place, row),
    );
    return {
      outcome: put!.length === 1 ? "created" : "existing",
      row: applicationOf(stands!),
    };
  }

  async getCheckpoint(
    scope: StoreScope,
    shardId: string,
    options?: CallOptions,
  ): Promise<Checkpoint | undefined> {
    const [row] = await this.#runClaimed(scope, options, (place) =>
      sql.readCheckpoint(place, shardId),
    ).then(([rows]) => rows!);
    return row && checkpointOf(row);
  }

  async getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    const [rows] = await this.#runClaimed(scope, options, sql.readCheckpoints);
    return byShard(rows!);
  }

  async setCheckpoint(
    scope: StoreScope,
    write: CheckpointWrite,
    options?: CallOptions,
  ): Promise<SetCheckpointResult> {
    const [result] = await this.setCheckpoints(scope, [write], options);
    return singleResult(write, result);
  }

  async setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options?: CallOptions,
  ): Promise<readonly BulkCheckpointResult[]> {
    const [, done, stands] = await this.#runClaimed(scope, options, (place) =>
      sql.advance(place, writes),
    );
    const shards = (what: string): ReadonlySet<string | null | undefined> =>
      new Set(done!.filter((row) => row["what"] === what).map((row) => row["shard_id"]));
    const [held, moved] = [shards("held"), shards("moved")];
    const stored = byShard(stands!.filter((row) => held.has(row["shard_id"])));
    return writes.map(({ shardId, checkpoint }) => {
      const stood = stored.get(shardId);
      if (stood === undefined) return { outcome: "lease-lost" };
      if (moved.has(shardId)) return { outcome: "written", stored: checkpoint };
      const same = compareCheckpoints(checkpoint, stood) === 0;
      return { outcome: same ? "same" : "behind", stored: stood };
    });
  }

  async resetCheckpoint(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options?: CallOptions & { readonly force?: boolean },
  ): Promise<void> {
    const [, lease, done] = await this.#runClaimed(scope, options, (place) =>
      sql.reset(place, shardId, to, options?.force === true),
    );
    if (done!.length > 0) return;
    const owner = String(lease![0]?.["owner"]);
    throw new LeaseLostError(shardId, `${owner} holds it: stop it, or force the reset`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#connection.close();
  }

  /** The statements that bring the schema up to date; undefined if it is. */
  async #missing(options: CallOptions | undefined): Promise<readonly string[] | undefined> {
    const rows = await this.#connection.run((quote) => inspect(this.#tables, quote), options);
    return missing(inspectionOf(rows), this.#tables, this.#connection.where);
  }

  #run(
    scope: StoreScope,
    options: CallOptions | undefined,
    make: (place: sql.Place) => readonly string[],
  ): Promise<readonly PostgresRows[]> {
    const namespace = this.#namespaceOf(scope);
    return this.#connection.run(
      (quote) => make({ tables: this.#tables, scope, namespace, quote }),
      options,
    );
  }

  /** As `#run`, of statements the first of which reads the claim; answers with the others' rows. */
  async #runClaimed(
    scope: StoreScope,
    options: CallOptions | undefined,
    make: (place: sql.Place) => readonly string[],
  ): Promise<readonly PostgresRows[]> {
    const [claim, ...rest] = await this.#run(scope, options, make);
    const where = `namespace "${this.#namespaceOf(scope)}"`;
    checkClaim(claimOf(claim![0]), scope, where, "`namespace` or `table`");
    return rest;
  }

  #namespaceOf(scope: StoreScope): string {
    return this.#namespace ?? namespaceOf(scope);
  }
}

function byShard(rows: PostgresRows): ReadonlyMap<string, Checkpoint> {
  return new Map(rows.map((row) => [String(row["shard_id"]), checkpointOf(row)]));
}

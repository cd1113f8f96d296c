import {
  compareCheckpoints,
  type ApplicationRow,
  type CallOptions,
  type Checkpoint,
  type CheckpointWrite,
  type SetCheckpointResult,
  type Store,
  type StoreCapabilities,
  type StoreScope,
} from "@kc/core";
import { Connection } from "./connection.ts";
import type { Session } from "./database.ts";
import { checkOptions, type SqliteStoreOptions } from "./options.ts";
import { applicationOf, applicationValues, checkpointOf, checkpointValues } from "./rows.ts";
import { checkSchema, isEmptyDatabase, migrate, SCHEMA_STEPS } from "./schema.ts";
import * as sql from "./statements.ts";

/**
 * Progress in a SQLite file, for one process or several on one machine. The file is opened by the
 * first call, not by the constructor.
 *
 * A file that holds nothing gets its tables at the first use. Any other database (a file with
 * tables of its own, or one that was handed in) gets them from `setup()` alone.
 */
export class SqliteStore implements Store {
  readonly capabilities: StoreCapabilities = {
    leases: false,
    flushIntervalMs: 1000,
    flush: "together",
  };
  readonly #connection: Connection;
  #schemaChecked = false;

  /** @throws ConfigError if an option is wrong. */
  constructor(options: SqliteStoreOptions) {
    this.#connection = new Connection(checkOptions(options));
  }

  async setup(options?: CallOptions): Promise<void> {
    await this.#connection.run((session) => migrate(session, SCHEMA_STEPS), options);
  }

  openApplication(
    scope: StoreScope,
    row: ApplicationRow,
    options?: CallOptions,
  ): Promise<{ outcome: "created" | "existing"; row: ApplicationRow }> {
    const key = [scope.application, scope.streamName];
    return this.#run(options, (session) =>
      session.write(() => {
        const put = session.query(sql.PUT_APPLICATION, [...key, ...applicationValues(row)]);
        const [stands] = session.query(sql.READ_APPLICATION, key);
        return {
          outcome: put.length === 1 ? "created" : "existing",
          row: applicationOf(scope, stands!),
        };
      }),
    );
  }

  getCheckpoint(
    scope: StoreScope,
    shardId: string,
    options?: CallOptions,
  ): Promise<Checkpoint | undefined> {
    return this.#run(options, (session) => readCheckpoint(session, scope, shardId));
  }

  getCheckpoints(
    scope: StoreScope,
    options?: CallOptions,
  ): Promise<ReadonlyMap<string, Checkpoint>> {
    return this.#run(options, (session) => {
      const checkpoints = new Map<string, Checkpoint>();
      for (const row of session.query(sql.READ_CHECKPOINTS, [
        scope.application,
        scope.streamName,
      ])) {
        const checkpoint = checkpointOf(row);
        if (checkpoint !== undefined) checkpoints.set(String(row["shard_id"]), checkpoint);
      }
      return checkpoints;
    });
  }

  setCheckpoint(
    scope: StoreScope,
    write: CheckpointWrite,
    options?: CallOptions,
  ): Promise<SetCheckpointResult> {
    return this.#run(options, (session) => session.write(() => advance(session, scope, write)));
  }

  /** All in one transaction: one wait for the disk, and no lock taken twice. */
  setCheckpoints(
    scope: StoreScope,
    writes: readonly CheckpointWrite[],
    options?: CallOptions,
  ): Promise<readonly SetCheckpointResult[]> {
    return this.#run(options, (session) =>
      session.write(() => writes.map((write) => advance(session, scope, write))),
    );
  }

  resetCheckpoint(
    scope: StoreScope,
    shardId: string,
    to: Checkpoint | undefined,
    options?: CallOptions,
  ): Promise<void> {
    const values = [scope.application, scope.streamName, shardId, ...checkpointValues(to)];
    return this.#run(options, (session) => {
      session.write(() => session.query(sql.RESET_CHECKPOINT, values));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.close();
  }

  /** As the connection's `run`, once the schema is known to be right. */
  #run<Answer>(
    options: CallOptions | undefined,
    work: (session: Session) => Answer,
  ): Promise<Answer> {
    return this.#connection.run((session) => {
      if (!this.#schemaChecked) {
        if (this.#connection.owned && isEmptyDatabase(session)) migrate(session, SCHEMA_STEPS);
        checkSchema(session, SCHEMA_STEPS, this.#connection.where);
        this.#schemaChecked = true;
      }
      return work(session);
    }, options);
  }
}

function readCheckpoint(
  session: Session,
  { application, streamName }: StoreScope,
  shardId: string,
): Checkpoint | undefined {
  const [row] = session.query(sql.READ_CHECKPOINT, [application, streamName, shardId]);
  return row === undefined ? undefined : checkpointOf(row);
}

/** Inside a write transaction, so that what is read after a refusal is what refused it. */
function advance(
  session: Session,
  scope: StoreScope,
  { shardId, checkpoint }: CheckpointWrite,
): SetCheckpointResult {
  const key = [scope.application, scope.streamName, shardId];
  const moved = session.query(sql.ADVANCE_CHECKPOINT, [...key, ...checkpointValues(checkpoint)]);
  if (moved.length === 1) return { outcome: "written", stored: checkpoint };
  const stored = readCheckpoint(session, scope, shardId)!;
  return { outcome: compareCheckpoints(checkpoint, stored) === 0 ? "same" : "behind", stored };
}

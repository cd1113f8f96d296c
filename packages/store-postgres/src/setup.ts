import { KcError, StoreError, type CallOptions } from "@kc/core";
import type { Connection, Subject } from "./connection.ts";
import { howToSetUp, metLock } from "./errors.ts";
import {
  inspectionStatements,
  inspectionOf,
  missingSteps,
  type MissingSteps,
} from "./inspection.ts";
import type { Tables } from "./tables.ts";

/** Only one setup runs in a database at a time: two that create one table concurrently would both fail. */
export const LOCK_SETUP = "SELECT pg_advisory_xact_lock(7164779031522165)";

/** The error of a setup by a user who may not create or alter tables. */
export function refusedSetup(cause: unknown, { where, remedy }: Subject): StoreError {
  return new StoreError(
    "STORE_ACCESS_DENIED",
    `${where}: this user may not create or alter the tables. ${remedy}`,
    { cause },
  );
}

/**
 * Inspects the tables, then creates and alters what is missing.
 * @param lockTimeoutMs how long it waits for the locks of other transactions
 * @throws StoreError STORE_ACCESS_DENIED, STORE_SCHEMA
 */
export async function setUp(
  connection: Connection,
  tables: Tables,
  lockTimeoutMs: number,
  options: CallOptions | undefined,
): Promise<void> {
  const look = async (): Promise<MissingSteps> => {
    const rows = await connection.run((quote) => inspectionStatements(tables, quote), options);
    return missingSteps(inspectionOf(rows), tables, connection.where);
  };
  const steps = await look();
  // Other transactions may have locked the table, and another setup holds the advisory lock.
  if (steps.required.length > 0) await create(connection, steps, { ...options, lockTimeoutMs });
  if (steps.storage.length > 0) await setStorage(connection, steps.storage, options);
  if (steps.required.length === 0) return;
  if ((await look()).required.length === 0) return;
  throw new StoreError("STORE_SCHEMA", `${connection.where}: it was changed during setup()`);
}

async function create(
  connection: Connection,
  { required, storage }: MissingSteps,
  options: CallOptions & { readonly lockTimeoutMs: number },
): Promise<void> {
  try {
    await connection.run(() => [LOCK_SETUP, ...required], options);
  } catch (error) {
    if (!KcError.is(error) || error.code !== "STORE_ACCESS_DENIED") throw error;
    const script = [...required, ...storage].map((step) => `${step};`).join("\n");
    throw refusedSetup(error.cause, { where: connection.where, remedy: howToSetUp(script) });
  }
}

/**
 * Sets the storage parameters of complete tables. They are optional: a user who may not alter the tables goes
 * without. So does one who meets a lock (a VACUUM, an index build); the next setup() tries again.
 */
async function setStorage(
  connection: Connection,
  storage: readonly string[],
  options: CallOptions | undefined,
): Promise<void> {
  try {
    await connection.run(() => [LOCK_SETUP, ...storage], options);
  } catch (error) {
    if (!KcError.is(error)) throw error;
    if (error.code === "STORE_ACCESS_DENIED") return;
    if (!metLock(error)) throw error;
    process.emitWarning(
      `${connection.where}: another transaction holds a lock, so setup() did not set the tables' storage ` +
        `parameters: they grow more than they need to. Run setup() again, or\n` +
        storage.map((step) => `${step};`).join("\n"),
      { type: "KinesisConsumerWarning", code: "KC_POSTGRES_STORAGE" },
    );
  }
}

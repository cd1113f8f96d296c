import { randomBytes } from "node:crypto";
import { KcError, type CheckpointWrite, type Store } from "@kc/core";
import type { PostgresAddress } from "@kc-internal/test-services";
import pg from "pg";
import { inject, onTestFinished } from "vitest";
import { PostgresStore } from "../../src/index.ts";
import { SCOPE, SHARD } from "./leases.ts";
import { eventually } from "./poll.ts";

export const UNAVAILABLE = {
  name: "StoreError",
  code: "STORE_UNAVAILABLE",
  retryable: true,
} as const;
export const DENIED = {
  name: "StoreError",
  code: "STORE_ACCESS_DENIED",
  retryable: false,
} as const;
export const SCHEMA = { name: "StoreError", code: "STORE_SCHEMA", retryable: false } as const;
export const CLOSED = { name: "StoreError", code: "STORE_CLOSED", retryable: false } as const;

/** A store with tables of its own, on a pool of one connection that was handed in. */
export interface Opened {
  readonly store: PostgresStore;
  readonly pool: pg.Pool;
  /** A superuser's connections. */
  readonly admin: pg.Pool;
  readonly schema: string;
}

/**
 * A connection on which a call waits for a lock until it is given back, however long the test takes for that:
 * by itself a call gives up after less than a second, in which a busy machine may do nothing.
 */
export class WaitingClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    const query = this.query.bind(this) as (text: unknown, ...rest: unknown[]) => unknown;
    Reflect.set(this, "query", (text: unknown, ...rest: unknown[]) =>
      query(
        typeof text === "string" ? text.replace(/lock_timeout = \d+/, "lock_timeout = 0") : text,
        ...rest,
      ),
    );
  }
}

/** Everything is closed when the test is over. */
export async function open(
  server: PostgresAddress,
  own: {
    readonly timeoutMs?: number;
    readonly user?: string;
    readonly port?: number;
    readonly Client?: typeof WaitingClient;
  } = {},
): Promise<Opened> {
  const schema = `kc_${randomBytes(6).toString("hex")}`;
  const admin = new pg.Pool({ connectionString: server.connectionString, max: 4 });
  admin.on("error", () => undefined);
  await admin.query(`CREATE SCHEMA ${schema}`);
  await new PostgresStore({ pool: admin, schema }).setup();
  const { timeoutMs = 5000, user = server.user, port = server.port, Client = pg.Client } = own;
  const { host, password, database } = server;
  const connection = { host, port, user, password, database };
  const pool = new pg.Pool({ ...connection, max: 1, connectionTimeoutMillis: timeoutMs, Client });
  pool.on("error", () => undefined); // as its owner has to
  const store = new PostgresStore({ pool, schema, timeoutMs });
  onTestFinished(async () => {
    await store[Symbol.asyncDispose]();
    if (!pool.ending) await pool.end();
    await admin.query(`DROP SCHEMA ${schema} CASCADE`);
    await admin.end();
  });
  return { store, pool, admin, schema };
}

/** A role that may log in, by the same password as the shared server's superuser. Its name is its own. */
export async function role({ admin }: Opened, options = ""): Promise<string> {
  const name = `role_${randomBytes(6).toString("hex")}`;
  await admin.query(
    `CREATE ROLE ${name} LOGIN PASSWORD '${inject("postgres").password}' ${options}`,
  );
  return name;
}

export function at(n: number, shardId: string = SHARD): CheckpointWrite {
  return { shardId, checkpoint: { kind: "position", sequenceNumber: String(n) } };
}

/** What a call rejected with. */
export function failure(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    (answer) => ({ answer }),
    (error: unknown) => error,
  );
}

/** Writes until it goes through, as the consumer does. @throws what is not passing */
export async function recovers(store: Store, n: number): Promise<void> {
  await eventually(
    "a write after the trouble",
    () => failure(store.setCheckpoint(SCOPE, at(n))),
    (answer) => {
      if (KcError.is(answer) && !answer.retryable) throw answer;
      return !KcError.is(answer);
    },
  );
}

/** Resolves when as many sessions as that wait for a lock on this schema's tables. */
export async function untilWaiting(
  { admin, schema }: Pick<Opened, "admin" | "schema">,
  count: number,
): Promise<void> {
  await eventually(
    "sessions that wait for a lock",
    async () => {
      const { rows } = await admin.query<{ count: string }>(
        `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1`,
        [`%"${schema}"%`],
      );
      return Number(rows[0]!.count);
    },
    (waiting) => waiting === count,
  );
}

/**
 * The part of a `pg` pool that the store uses. A pool from any copy of `pg` fits, and so does any object with the
 * same interface.
 */
export interface PostgresPool {
  /** `pg`'s own options: `max` is the pool's maximum number of connections. @default no known limit */
  readonly options?: { readonly max?: number };
  connect(): Promise<PostgresClient>;
}

/** A connection that was checked out of a pool. */
export interface PostgresClient {
  /** Runs a text of several statements, without parameters. The answer is an array with one result for each. */
  query(text: string): Promise<unknown>;
  escapeLiteral(value: string): string;
  on(event: "error", listener: (error: Error) => void): unknown;
  removeListener(event: "error", listener: (error: Error) => void): unknown;
  /** `true` closes the connection instead of returning it to the pool. */
  release(destroy?: boolean): void;
}

/**
 * What a handler of `scanTransaction` writes with: a client of `pg`, in a transaction.
 * @ts-ignore Without `@types/pg` this type is `any`, and everything else still compiles. */
// oxlint-disable-next-line typescript/consistent-type-imports -- one line, for the comment above
export type PostgresTransaction = import("pg").PoolClient;

type Connect = (
  done: (error: Error | undefined, client: PostgresClient | undefined) => void,
) => Promise<PostgresClient> | undefined;

/** `pg` emits the errors of a checked-out connection. Without a listener, such an error would end the process. */
const ignore = (): void => undefined;

/**
 * Checks out a connection and listens for its errors. It uses the callback, which `pg` calls synchronously: after
 * an awaited promise the listener would be too late if the server ends the connection as soon as it is ready.
 */
export function connectClient(pool: PostgresPool): Promise<PostgresClient> {
  return new Promise((resolve, reject) => {
    const take = (client: PostgresClient): void => {
      client.on("error", ignore);
      resolve(client);
    };
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a pool without callbacks answers by its promise
    const connect = pool.connect.bind(pool) as Connect;
    const answer = connect((error, client) => {
      if (client === undefined) reject(error);
      else take(client);
    });
    answer?.then(take, reject);
  });
}

/** Returns a connection to the pool, or closes it. A closed one keeps its listener: it may still emit an error. */
export function releaseClient(client: PostgresClient, reusable: boolean): void {
  client.release(!reusable);
  if (reusable) client.removeListener("error", ignore);
}

/** Every column is selected as text, so the user's type parsers are never called. */
export type PostgresRow = Readonly<Record<string, string | null>>;

/** The rows of one statement. */
export type PostgresRows = readonly PostgresRow[];

/** The rows of each statement, from `pg`'s answer to a text of several statements. */
export function rowsOf(answer: unknown): readonly PostgresRows[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the driver's own shape
  return (answer as readonly { readonly rows: PostgresRows }[]).map(({ rows }) => rows);
}

/** The server's name for the last statement of a text, such as `COMMIT`. */
export function lastCommandOf(answer: unknown): string {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the driver's own shape
  return String((answer as readonly { readonly command?: unknown }[]).at(-1)?.command);
}

/**
 * The part of a `pg` pool that is used here. A pool of any copy of `pg` fits as it is, and so does
 * one with the same interface.
 */
export interface PostgresPool {
  /** `pg`'s own: how many connections it makes at most. @default no limit is known */
  readonly options?: { readonly max?: number };
  connect(): Promise<PostgresClient>;
}

/** A connection that was taken out of a pool. */
export interface PostgresClient {
  /** One text of several statements, without values: the answer is an array, one result each. */
  query(text: string): Promise<unknown>;
  escapeLiteral(value: string): string;
  on(event: "error", listener: (error: Error) => void): unknown;
  removeListener(event: "error", listener: (error: Error) => void): unknown;
  /** `true` closes the connection instead of giving it back. */
  release(destroy?: boolean): void;
}

/**
 * What a handler of `scanTransaction` writes by: a client of `pg`, in a transaction.
 * @ts-ignore Without `@types/pg` it is any, and nothing else fails. */
// oxlint-disable-next-line typescript/consistent-type-imports -- one line, for the comment above
export type PostgresTransaction = import("pg").PoolClient;

type Connect = (
  done: (error: Error | undefined, client: PostgresClient | undefined) => void,
) => Promise<PostgresClient> | undefined;

/** `pg` emits what happens to a connection in use: without a listener the process would end. */
const ignore = (): void => undefined;

/**
 * Takes a connection out, with a listener for its errors. By a callback, which `pg` calls at once: who
 * awaits its promise comes too late for a server that ends the connection in the moment it is ready.
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

/** Gives a connection back, or closes it: a closed one may still emit an error. */
export function releaseClient(client: PostgresClient, reusable: boolean): void {
  client.release(!reusable);
  if (reusable) client.removeListener("error", ignore);
}

/** Every column is asked for as text: type parsers that the user has set are never met. */
export type PostgresRow = Readonly<Record<string, string | null>>;

/** One statement's rows. */
export type PostgresRows = readonly PostgresRow[];

/** What `pg` answers for a text of several statements. */
export function rowsOf(answer: unknown): readonly PostgresRows[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the driver's own shape
  return (answer as readonly { readonly rows: PostgresRows }[]).map(({ rows }) => rows);
}

/** What the last statement of a text was, as the server names it. */
export function lastCommandOf(answer: unknown): string {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the driver's own shape
  return String((answer as readonly { readonly command?: unknown }[]).at(-1)?.command);
}

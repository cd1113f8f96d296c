/**
 * The part of a `pg` pool that is used here. A pool of any copy of `pg` fits as it is, and so does
 * one with the same interface.
 */
export interface PostgresPool {
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

/** Every column is asked for as text: type parsers that the user has set are never met. */
export type PostgresRow = Readonly<Record<string, string | null>>;

/** One statement's rows. */
export type PostgresRows = readonly PostgresRow[];

/** What `pg` answers for a text of several statements. */
export function rowsOf(answer: unknown): readonly PostgresRows[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the driver's own shape
  return (answer as readonly { readonly rows: PostgresRows }[]).map(({ rows }) => rows);
}

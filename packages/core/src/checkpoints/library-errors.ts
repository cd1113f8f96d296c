/** The most nested errors that are searched: usually a library's around the driver's. */
const MAX_ERRORS = 8;

/**
 * The error and the errors that a library has wrapped in it: Drizzle and others have the driver's error as
 * `cause`, Prisma has that of its driver adapter in `meta`.
 */
export function errorsIn(error: unknown): readonly object[] {
  const found: object[] = [];
  const queue: unknown[] = [error];
  for (const each of queue) {
    if (typeof each !== "object" || each === null || found.length === MAX_ERRORS) continue;
    found.push(each);
    queue.push(Object(each).cause, Object(each).meta, Object(each).driverAdapterError);
  }
  return found;
}

const TRANSIENT_IN_PRISMA: ReadonlySet<unknown> = new Set([
  "P1001",
  "P1002",
  "P1008",
  "P1017",
  "P2024",
  "P2034",
  "ConnectionClosed",
  "DatabaseNotReachable",
  "SocketTimeout",
  "TransactionWriteConflict",
]);

/**
 * Whether a library reports by its own codes that a transaction conflicted with another one, lost its
 * connection, or got none. Prisma and its driver adapters have such codes, and Knex for its pool.
 * @param error one of `errorsIn`
 */
export function isPassingInLibrary(error: unknown): boolean {
  const { code, kind, name, message } = Object(error) as Readonly<Record<string, unknown>>;
  if (TRANSIENT_IN_PRISMA.has(code) || TRANSIENT_IN_PRISMA.has(kind)) return true;
  // A transaction that took too long has the same code.
  if (code === "P2028") return String(message).includes("Unable to start a transaction");
  return name === "KnexTimeoutError" && String(message).includes("acquiring a connection");
}

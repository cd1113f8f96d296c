/** Errors in one: a library's around the driver's, and perhaps another one. */
const MOST = 8;

/**
 * The error, and those that a library has made it of: Drizzle and others have what the driver threw as `cause`,
 * Prisma has what its driver adapter threw in its `meta`.
 */
export function errorsIn(error: unknown): readonly object[] {
  const found: object[] = [];
  const queue: unknown[] = [error];
  for (const each of queue) {
    if (typeof each !== "object" || each === null || found.length === MOST) continue;
    found.push(each);
    queue.push(Object(each).cause, Object(each).meta, Object(each).driverAdapterError);
  }
  return found;
}

const PASSING_IN_PRISMA: ReadonlySet<unknown> = new Set([
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
 * Does a library say by its own codes that a transaction met another one, lost its connection, or got none?
 * Prisma and its driver adapters do, and Knex of its pool. @param error one of `errorsIn`
 */
export function isPassingInLibrary(error: unknown): boolean {
  const { code, kind, name, message } = Object(error) as Readonly<Record<string, unknown>>;
  if (PASSING_IN_PRISMA.has(code) || PASSING_IN_PRISMA.has(kind)) return true;
  // Of a transaction that took too long it is the same code.
  if (code === "P2028") return String(message).includes("Unable to start a transaction");
  return name === "KnexTimeoutError" && String(message).includes("acquiring a connection");
}

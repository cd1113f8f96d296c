/** Thrown for wrong arguments or environment variables. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

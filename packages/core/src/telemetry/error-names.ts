import { nameOfError } from "../describe-error.ts";

/** The SDK and the service have a few dozen error names. */
const MAX_NAMES = 50;

/**
 * Error names for a metric attribute, limited in number: the SDK reads them from the reply, so a server in the place
 * of Kinesis could invent any number. After 50 names, a new one is reported as `other`.
 */
export class ErrorNames {
  readonly #known = new Set<string>();

  of(error: unknown): string {
    const name = nameOfError(error);
    if (this.#known.has(name)) return name;
    if (this.#known.size >= MAX_NAMES) return "other";
    this.#known.add(name);
    return name;
  }
}

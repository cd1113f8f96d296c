import { nameOfError } from "../describe-error.ts";

/** The SDK and the service have a few dozen. */
const MOST_NAMES = 50;

/**
 * Names of errors as an attribute of metrics. The SDK takes a name from the reply, so a server that answers in the
 * place of the service can make up new ones for ever: beyond 50, a new name is `other`.
 */
export class ErrorNames {
  readonly #known = new Set<string>();

  of(error: unknown): string {
    const name = nameOfError(error);
    if (this.#known.has(name)) return name;
    if (this.#known.size >= MOST_NAMES) return "other";
    this.#known.add(name);
    return name;
  }
}

import { ConfigError, NamespaceConflictError } from "../errors.ts";
import type { StoreScope } from "./store.ts";

/**
 * For stores that write names in UTF-8, where every half of a surrogate pair becomes the same character.
 * @throws ConfigError for a name with such a half: it would share its rows with others
 */
export function checkScope(scope: StoreScope): void {
  for (const name of ["application", "streamName"] as const) {
    if (/\p{Surrogate}/u.test(scope[name])) {
      throw new ConfigError(name, "has half of a surrogate pair in it, which UTF-8 cannot keep");
    }
  }
}

/**
 * The Go library's name for a scope's checkpoints. `a-b` on `c` and `a` on `b-c` share one.
 * @throws ConfigError as `checkScope` does
 */
export function namespaceOf(scope: StoreScope): string {
  checkScope(scope);
  return `${scope.application}-${scope.streamName}`;
}

/**
 * @param where the place that they would share: `namespace "a-b" of table t`
 * @param option what to set so that they do not: `namespace` or `table`
 * @throws NamespaceConflictError if another scope has claimed the place
 */
export function checkClaim(
  claimed: StoreScope | undefined,
  scope: StoreScope,
  where: string,
  option: string,
): void {
  if (claimed === undefined) return;
  const { application, streamName } = claimed;
  if (application === scope.application && streamName === scope.streamName) return;
  throw new NamespaceConflictError(
    `${where} belongs to application "${application}" on stream "${streamName}": application ` +
      `"${scope.application}" on stream "${scope.streamName}" would share its checkpoints. Give ` +
      `the store another ${option}, or the application another name.`,
  );
}

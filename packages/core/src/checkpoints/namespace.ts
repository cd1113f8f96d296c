import { ConfigError, NamespaceConflictError } from "../errors.ts";
import type { StoreScope } from "./store.ts";

/**
 * For stores that write names in UTF-8, in which every lone surrogate becomes the same character.
 * @throws ConfigError for a name with a lone surrogate: it would share its rows with other names
 */
export function checkScope(scope: StoreScope): void {
  for (const name of ["application", "streamName"] as const) {
    if (/\p{Surrogate}/u.test(scope[name])) {
      throw new ConfigError(name, "contains a lone surrogate, which UTF-8 cannot encode");
    }
  }
}

/**
 * The Go library's name for a scope. `a-b` on `c` and `a` on `b-c` have the same one.
 * @throws ConfigError as `checkScope` does
 */
export function namespaceOf(scope: StoreScope): string {
  checkScope(scope);
  return `${scope.application}-${scope.streamName}`;
}

/**
 * @param where what the scopes would share, for the message: `namespace "a-b" of table t`
 * @param option the option that separates them: `namespace` or `table`
 * @throws NamespaceConflictError if another scope has claimed it
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

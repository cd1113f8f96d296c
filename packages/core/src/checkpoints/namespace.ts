import { NamespaceConflictError } from "../errors.ts";
import type { StoreScope } from "./store.ts";

/** The Go library's name for a scope's checkpoints. `a-b` on `c` and `a` on `b-c` share one. */
export function namespaceOf({ application, streamName }: StoreScope): string {
  return `${application}-${streamName}`;
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

/**
 * Finds a shard that is its own ancestor; `undefined` if there is none. Such a shard could never be read,
 * because a shard waits for its parents. Pure.
 */
export function shardInCycle(
  parentsOf: ReadonlyMap<string, readonly string[]>,
): string | undefined {
  const done = new Set<string>();
  const onPath = new Set<string>();
  for (const start of parentsOf.keys()) {
    const path = [start];
    while (path.length > 0) {
      const shardId = path.at(-1)!;
      const next = done.has(shardId)
        ? undefined
        : parentsOf.get(shardId)?.find((parent) => !done.has(parent));
      if (next === undefined) {
        done.add(shardId);
        onPath.delete(shardId);
        path.pop();
      } else {
        onPath.add(shardId);
        if (onPath.has(next)) return next;
        path.push(next);
      }
    }
  }
  return undefined;
}

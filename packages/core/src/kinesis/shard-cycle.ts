/**
 * A shard that is its own ancestor; undefined = no shard is. It could
 * never be read: it would wait for itself. Pure.
 */
export function shardInCycle(
  parentsOf: ReadonlyMap<string, readonly string[]>,
): string | undefined {
  const done = new Set<string>();
  const under = new Set<string>();
  for (const start of parentsOf.keys()) {
    const path = [start];
    while (path.length > 0) {
      const shardId = path.at(-1)!;
      const next = done.has(shardId)
        ? undefined
        : parentsOf.get(shardId)?.find((parent) => !done.has(parent));
      if (next === undefined) {
        done.add(shardId);
        under.delete(shardId);
        path.pop();
      } else {
        under.add(shardId);
        if (under.has(next)) return next;
        path.push(next);
      }
    }
  }
  return undefined;
}

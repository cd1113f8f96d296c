/** A live worker, as the plan sees it. */
export interface PlanWorker {
  readonly workerId: string;
  readonly weight: number;
  /** Undefined = no limit. */
  readonly maxShards: number | undefined;
}

/** A shard that can be read now: neither ended nor waiting for a parent. */
export interface PlanShard {
  readonly shardId: string;
  /** The live worker that holds it; undefined = it is free. */
  readonly owner: string | undefined;
  /** The live worker that read its parent: it knows of the child first. */
  readonly heir: string | undefined;
}

/** Guards a quota that should be whole against the last bits of a division. */
const EPSILON = 1e-9;

/**
 * Who should read what, pure: every worker that sees the same rows comes to the same plan. A shard
 * that no worker has room for is not in it.
 *
 * Shares differ from their quota by less than one (by weight, below each worker's limit). It is
 * sticky: an owner keeps its shards up to its share; only what is beyond moves.
 */
export function plan(
  shards: readonly PlanShard[],
  workers: readonly PlanWorker[],
): ReadonlyMap<string, string> {
  const planned = new Map<string, string>();
  const inOrder = shards.toSorted((a, b) => compareText(a.shardId, b.shardId));
  const room = shares(inOrder, workers);
  const take = (shardId: string, workerId: string | undefined): boolean => {
    const left = workerId === undefined ? 0 : (room.get(workerId) ?? 0);
    if (workerId === undefined || left === 0) return false;
    room.set(workerId, left - 1);
    planned.set(shardId, workerId);
    return true;
  };
  const moving = inOrder.filter(({ shardId, owner }) => !take(shardId, owner));
  const orphans = moving.filter(({ shardId, heir }) => !take(shardId, heir));
  const takers = [...room.keys()].toSorted(compareText);
  let next = 0;
  for (const { shardId } of orphans) {
    while (next < takers.length && !take(shardId, takers[next])) next += 1;
  }
  return planned;
}

/** How many shards each worker should hold: its quota, rounded so that the sum comes out. */
function shares(shards: readonly PlanShard[], workers: readonly PlanWorker[]): Map<string, number> {
  const held = new Map<string, number>();
  for (const { owner } of shards) {
    if (owner !== undefined) held.set(owner, (held.get(owner) ?? 0) + 1);
  }
  const quotas = quotasOf(shards.length, workers);
  const result = new Map<string, number>();
  const fractional: string[] = [];
  let rest = 0;
  for (const [workerId, quota] of quotas) {
    const whole = Math.floor(quota + EPSILON);
    result.set(workerId, whole);
    rest += quota - whole;
    if (quota - whole > EPSILON) fractional.push(workerId);
  }
  // What is left over goes first to those who hold it already.
  const holdsMore = (workerId: string): number =>
    (held.get(workerId) ?? 0) > result.get(workerId)! ? 0 : 1;
  fractional.sort((a, b) => holdsMore(a) - holdsMore(b) || compareText(a, b));
  for (const workerId of fractional.slice(0, Math.round(rest))) {
    result.set(workerId, result.get(workerId)! + 1);
  }
  return result;
}

/** Shares in proportion to the weights; who is full leaves the rest to the others. */
function quotasOf(total: number, workers: readonly PlanWorker[]): Map<string, number> {
  const quotas = new Map<string, number>();
  let open = [...workers];
  let left = total;
  for (;;) {
    const weights = open.reduce((sum, { weight }) => sum + weight, 0);
    const share = ({ weight }: PlanWorker): number => (left * weight) / weights;
    const full = open.filter((worker) => (worker.maxShards ?? Infinity) <= share(worker));
    if (full.length === 0) {
      for (const worker of open) quotas.set(worker.workerId, share(worker));
      return quotas;
    }
    for (const { workerId, maxShards = 0 } of full) {
      quotas.set(workerId, maxShards);
      left -= maxShards;
    }
    open = open.filter(({ workerId }) => !quotas.has(workerId));
  }
}

/** The same on every machine: by code units, whatever the locale. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A live worker, as input of the plan. */
export interface PlanWorker {
  readonly workerId: string;
  readonly weight: number;
  /** Undefined = no limit. */
  readonly maxShards: number | undefined;
}

/** A shard that can be read: it has not ended and waits for no parent. */
export interface PlanShard {
  readonly shardId: string;
  /** The live worker that holds it; undefined = it is free. */
  readonly owner: string | undefined;
  /** The live worker that read its parent, and so knows of the child first. */
  readonly heir: string | undefined;
}

/** Tolerance for rounding errors in quotas that should be whole. */
const EPSILON = 1e-9;

/**
 * Assigns shards to workers. Pure: all workers that see the same rows compute the same plan. A shard for which no
 * worker has room is not in the plan.
 *
 * Each worker's share differs from its quota (by weight, within `maxShards`) by less than one. The assignment is
 * sticky: an owner keeps its shards up to its share, and only the rest moves.
 */
export function plan(
  shards: readonly PlanShard[],
  workers: readonly PlanWorker[],
): ReadonlyMap<string, string> {
  const planned = new Map<string, string>();
  const inOrder = shards.toSorted((a, b) => compareText(a.shardId, b.shardId));
  const room = shares(inOrder, workers);
  const assign = (shardId: string, workerId: string | undefined): boolean => {
    const left = workerId === undefined ? 0 : (room.get(workerId) ?? 0);
    if (workerId === undefined || left === 0) return false;
    room.set(workerId, left - 1);
    planned.set(shardId, workerId);
    return true;
  };
  const moving = inOrder.filter(({ shardId, owner }) => !assign(shardId, owner));
  const unassigned = moving.filter(({ shardId, heir }) => !assign(shardId, heir));
  const candidates = [...room.keys()].toSorted(compareText);
  let next = 0;
  for (const { shardId } of unassigned) {
    while (next < candidates.length && !assign(shardId, candidates[next])) next += 1;
  }
  return planned;
}

/** The number of shards for each worker: its quota, rounded so that the sum is right. */
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
  // The remainder goes first to workers that already hold more than their whole quota.
  const holdsMore = (workerId: string): number =>
    (held.get(workerId) ?? 0) > result.get(workerId)! ? 0 : 1;
  fractional.sort((a, b) => holdsMore(a) - holdsMore(b) || compareText(a, b));
  for (const workerId of fractional.slice(0, Math.round(rest))) {
    result.set(workerId, result.get(workerId)! + 1);
  }
  return result;
}

/** Quotas in proportion to the weights. What exceeds a worker's `maxShards` is shared by the others. */
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

/** Compares by code units, so that the order is the same on every machine and in every locale. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

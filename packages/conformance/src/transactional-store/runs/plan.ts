import { seededRandom } from "../fixtures.ts";

/** The number of records in each shard. */
export const RECORDS = 7;
export const SHARDS = 2;

/** A fault at a point of a worker: before or after a store call, or within its handler. */
export type PointFault =
  /** The handler throws; at other points nothing happens. */
  | "throw"
  /** The process is killed: its connections end, and its code does not continue. */
  | "die"
  /** The process freezes for a moment, or until all work is done, and then continues. */
  | "pause"
  | "sleep"
  /** Another worker claims the shard. */
  | "claim"
  /** Its connections are cut. */
  | "cut"
  /** The server ends its sessions. */
  | "end-sessions"
  /** The next commit of any worker is cut off. */
  | "cut-before-commit"
  | "cut-after-commit"
  /** The database is unreachable for a moment. */
  | "outage";

/** A fault at a message from a worker to the server. */
export interface MessageFault {
  /** The number of the message, counted from the last such fault. */
  readonly message: number;
  readonly when: "before" | "within" | "after" | "answered";
  readonly fate: "still" | "cut";
}

export interface WorkerPlan {
  readonly maxRecords: number;
  /** By the number of the point, from 1. */
  readonly atPoints: ReadonlyMap<number, PointFault>;
  readonly atMessages: readonly MessageFault[];
}

/** The decisions of a seed. The timing also depends on the server and the machine. */
export interface Plan {
  /**
   * True if each shard has one worker, or several that do not know of each other; false if each
   * worker reads all shards.
   */
  readonly isLeased: boolean;
  readonly workers: readonly WorkerPlan[];
  /** The record of the first shard for which the handler always fails; -1 if there is none. */
  readonly poison: number;
  /** The randomness during the run. */
  readonly random: () => number;
}

export interface Possible {
  readonly leases: boolean;
  readonly wire: boolean;
  readonly endSessions: boolean;
  readonly cutAtCommit: boolean;
  readonly outage: boolean;
}

export function planOf(seed: number, possible: Possible): Plan {
  const random = seededRandom(seed);
  const upTo = (most: number): number => 1 + Math.floor(random() * most);
  const oneOf = <Item>(items: readonly Item[]): Item => items[upTo(items.length) - 1]!;
  const isLeased = possible.leases && random() < 0.5;
  /** Faults from which a worker recovers by itself. */
  const passing: PointFault[] = [
    "throw",
    "pause",
    ...(isLeased ? (["claim", "claim"] as const) : []),
    ...(possible.wire ? (["cut"] as const) : []),
    ...(possible.endSessions ? (["end-sessions"] as const) : []),
    ...(possible.cutAtCommit ? (["cut-before-commit", "cut-after-commit"] as const) : []),
    ...(possible.outage ? (["outage"] as const) : []),
  ];
  const workerOf = (survives: boolean): WorkerPlan => {
    const atPoints = new Map<number, PointFault>();
    for (let left = upTo(4); left > 0; left -= 1) {
      const fault = oneOf<PointFault>(survives ? passing : [...passing, "die", "sleep", "sleep"]);
      // No record may fail so often that it is given up.
      const isOneTooMany = fault === "throw" && [...atPoints.values()].includes("throw");
      if (!isOneTooMany) atPoints.set(upTo(RECORDS * SHARDS * 2), fault);
    }
    const atMessages = Array.from({ length: possible.wire ? upTo(6) - 1 : 0 }, () => ({
      message: upTo(16) - 1,
      when: oneOf(["before", "within", "after", "answered"] as const),
      fate: oneOf(["still", "cut", "cut"] as const),
    }));
    return { maxRecords: upTo(6), atPoints, atMessages };
  };
  const workers = [true, ...(random() < 0.5 ? [false] : [false, false])].map(workerOf);
  return {
    isLeased,
    workers,
    poison: random() < 0.25 ? upTo(RECORDS - 1) - 1 : -1,
    random,
  };
}

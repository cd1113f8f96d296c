import type { OperationName } from "../api/operation-types.ts";
import type { Clock } from "../clock.ts";
import { serviceError } from "../errors.ts";
import { Budget } from "./budget.ts";
import type { Stream } from "./stream.ts";
import type { Streams } from "./streams.ts";

const DAY_MS = 24 * 3_600_000;
const MAX_CREATING = 5;

/** Calls per second of an operation in an account. Others: see `OTHERS_PER_ACCOUNT`. */
const PER_ACCOUNT: Partial<Readonly<Record<OperationName, number>>> = {
  DescribeLimits: 1,
  DescribeStream: 10,
  DescribeStreamSummary: 20,
  UpdateShardCount: 10,
};
const OTHERS_PER_ACCOUNT = 5;

/** Calls per second of an operation on one stream, instead of the quota of the account. */
const PER_STREAM: Partial<Readonly<Record<OperationName, number>>> = {
  DecreaseStreamRetentionPeriod: 5,
  IncreaseStreamRetentionPeriod: 5,
  ListShards: 1000,
};

/** Operations that are limited by the quotas of shards. */
const DATA_PLANE: ReadonlySet<OperationName> = new Set([
  "GetRecords",
  "GetShardIterator",
  "PutRecord",
  "PutRecords",
]);

/** How often an operation may succeed on one stream within any 24 hours. */
const PER_DAY = {
  StartStreamEncryption: 25,
  StopStreamEncryption: 25,
  UpdateShardCount: 10,
  UpdateStreamMode: 2,
} as const;

type DailyOperation = keyof typeof PER_DAY;

/** The quotas of calls. All methods throw LimitExceededException if a quota is exceeded. */
export class CallQuotas {
  readonly #clock: Clock;
  readonly #enforced: boolean;
  readonly #ofAccount = new Map<OperationName, Budget>();
  /** Weak, so that deleted streams are dropped. */
  readonly #ofStream = new WeakMap<Stream, Map<OperationName, Budget>>();
  readonly #today = new WeakMap<Stream, Map<DailyOperation, number[]>>();

  constructor(clock: Clock, enforced: boolean) {
    this.#clock = clock;
    this.#enforced = enforced;
  }

  /** Counts a call of an operation. */
  admit(operation: OperationName, input: object, streams: Streams): void {
    if (!this.#enforced || DATA_PLANE.has(operation)) return;
    const perStream = PER_STREAM[operation];
    if (perStream === undefined) {
      const perSecond = PER_ACCOUNT[operation] ?? OTHERS_PER_ACCOUNT;
      this.#spend(this.#ofAccount, operation, perSecond, `account ${streams.account}`);
      return;
    }
    const stream = streams.named(input);
    // The operation itself refuses a missing stream, or has it in a token.
    if (stream === undefined) return;
    const where = `stream ${stream.name} under account ${streams.account}`;
    this.#spend(entry(this.#ofStream, stream), operation, perStream, where);
  }

  /** Counts a success of an operation that is limited per stream within 24 hours. */
  admitToday(operation: DailyOperation, stream: Stream): void {
    if (!this.#enforced) return;
    const now = this.#clock.monotonic();
    const of = entry(this.#today, stream);
    const recent = (of.get(operation) ?? []).filter((at) => at > now - DAY_MS);
    if (recent.length >= PER_DAY[operation]) {
      throw limitExceeded(
        `${operation} succeeds ${PER_DAY[operation]} times within 24 hours on one stream: ` +
          `stream ${stream.name} has had them.`,
      );
    }
    of.set(operation, [...recent, now]);
  }

  /** Checks whether another stream may be created. @param creating number of streams that are CREATING */
  admitCreating(creating: number): void {
    if (!this.#enforced || creating < MAX_CREATING) return;
    throw limitExceeded(
      `${MAX_CREATING} streams are in the CREATING state: wait until one is not.`,
    );
  }

  #spend(
    budgets: Map<OperationName, Budget>,
    operation: OperationName,
    perSecond: number,
    where: string,
  ): void {
    let budget = budgets.get(operation);
    if (budget === undefined) {
      budget = new Budget(perSecond);
      budgets.set(operation, budget);
    }
    if (!budget.allows(1, this.#clock.monotonic())) {
      throw limitExceeded(
        `Rate exceeded for ${operation} on ${where}: ${perSecond} calls a second.`,
      );
    }
    budget.spend(1);
  }
}

function entry<Key, Value>(
  maps: WeakMap<Stream, Map<Key, Value>>,
  stream: Stream,
): Map<Key, Value> {
  let map = maps.get(stream);
  if (map === undefined) {
    map = new Map<Key, Value>();
    maps.set(stream, map);
  }
  return map;
}

function limitExceeded(message: string): Error {
  return serviceError("LimitExceededException", message);
}

import type { BatchOptions, Clock, Counter, Deaggregate, DeliveryOptions, Logger } from "@kc/core";
import {
  checkApplicationName,
  checkDeaggregate,
  checkDuration,
  checkOptionNames,
  ConfigError,
  resolveTools,
  type ResolvedTools,
} from "@kc/core/adapter";

/** How records are delivered, as for `scan`, and what a consumer is given in its constructor. */
export interface LambdaOptions<Value = undefined> extends Omit<DeliveryOptions<Value>, "signal"> {
  /**
   * The name under which letters are kept, the same as the consumer's. Required with a dead-letter queue.
   * @default "default"
   */
  readonly application?: string;
  /**
   * Delivers the user records of KPL aggregates one by one. `true` means "all", because an event does not
   * name the hash keys of its shard; `false` delivers an aggregate as one record. @default true
   */
  readonly deaggregate?: Deaggregate;
  /**
   * No further record is started once less than this is left of the function's time, in milliseconds. Handlers
   * have the first half of it to return. At most half of an invocation's time. @default 5000
   */
  readonly drainTimeoutMs?: number;
  /** Where metrics go. @default none */
  readonly counter?: Counter;
  /** Where log lines go. @default `console`, for warnings and errors */
  readonly logger?: Logger;
  /** The source of time and timers, for tests. @default the machine's clock */
  readonly clock?: Clock;
  /** Numbers in [0, 1), for jitter. @default Math.random */
  readonly random?: () => number;
}

/** How batches are delivered, as for `scanBatch`. */
export interface LambdaBatchOptions<Value = undefined>
  extends LambdaOptions<Value>, Omit<BatchOptions<Value>, "signal" | "maxWaitMs"> {}

/** What is left of the options without those of the delivery, with every default filled in. */
export interface ResolvedLambdaOptions extends ResolvedTools {
  readonly application: string;
  readonly deaggregate: Deaggregate;
  readonly drainTimeoutMs: number;
}

const RECORDS: Readonly<Record<keyof LambdaOptions, true>> = {
  concurrency: true,
  ordering: true,
  key: true,
  retry: true,
  maxRecordAgeMs: true,
  handlerTimeoutMs: true,
  onFailure: true,
  decode: true,
  application: true,
  deaggregate: true,
  drainTimeoutMs: true,
  counter: true,
  logger: true,
  clock: true,
  random: true,
};
const BATCHES: Readonly<Record<keyof LambdaBatchOptions, true>> = {
  ...RECORDS,
  maxRecords: true,
  maxBytes: true,
  bisect: true,
};

/** Options of a scan that an invocation has no use for, and what takes their place. */
const NOT_HERE: Readonly<Record<string, string>> = {
  signal: "has no effect in Lambda: an invocation ends by its time",
  maxWaitMs:
    "has no effect in Lambda: an event is whole when it comes. Set the mapping's " +
    "MaximumBatchingWindowInSeconds",
};

const DEFAULT_DRAIN_MS = 5000;
/** An answer has to reach Lambda before the function's time is over. */
const LEAST_DRAIN_MS = 100;

/** All that Lambda shows by itself is what was printed. */
const CONSOLE: Logger = {
  debug: () => {},
  info: () => {},
  warn: (message, fields) => console.warn(message, fields),
  error: (message, fields) => console.error(message, fields),
};

/**
 * Parts the options of `toLambdaHandler` into those of the delivery, which are to be checked, and the others,
 * which are. @throws ConfigError that names the option
 */
export function partOptions<Value>(
  options: LambdaOptions<Value>,
): readonly [DeliveryOptions<Value>, ResolvedLambdaOptions] {
  return part("toLambdaHandler", options, RECORDS);
}

/** The same for `toLambdaBatchHandler`. */
export function partBatchOptions<Value>(
  options: LambdaBatchOptions<Value>,
): readonly [BatchOptions<Value>, ResolvedLambdaOptions] {
  return part("toLambdaBatchHandler", options, BATCHES);
}

function part<Value, Options extends LambdaOptions<Value>>(
  of: string,
  options: Options,
  names: Readonly<Record<string, true>>,
): readonly [Omit<Options, keyof ResolvedLambdaOptions>, ResolvedLambdaOptions] {
  for (const [name, why] of Object.entries(NOT_HERE)) {
    if (Object.hasOwn(Object(options), name)) throw new ConfigError(name, why);
  }
  checkOptionNames(of, options, Object.keys(names));
  const { application, deaggregate, drainTimeoutMs, counter, logger, clock, random, ...delivery } =
    options;
  return [
    delivery,
    {
      ...resolveTools({ counter, logger: logger === undefined ? CONSOLE : logger, clock, random }),
      application: checkApplication(application, delivery.onFailure),
      deaggregate: checkDeaggregate(deaggregate === undefined ? true : deaggregate),
      drainTimeoutMs: checkDuration(
        "drainTimeoutMs",
        drainTimeoutMs === undefined ? DEFAULT_DRAIN_MS : drainTimeoutMs,
        LEAST_DRAIN_MS,
      ),
    },
  ];
}

/** The id of a letter depends on it: one by default would be another than the consumer's. */
function checkApplication(application: unknown, onFailure: unknown): string {
  const hasQueue = typeof onFailure === "object" && onFailure !== null;
  if (application === undefined && !hasQueue) return "default";
  return checkApplicationName(application, "letters are kept under it");
}

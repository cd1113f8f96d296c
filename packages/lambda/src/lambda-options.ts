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

/** The delivery options of `scan`, and options of the consumer's constructor. */
export interface LambdaOptions<Value = undefined> extends Omit<DeliveryOptions<Value>, "signal"> {
  /**
   * The application name of dead letters, the same as the consumer's. Required with a dead-letter queue.
   * @default "default"
   */
  readonly application?: string;
  /**
   * Delivers the user records of KPL aggregates one by one. `true` means "all", because an event does not
   * name the hash keys of its shard; `false` delivers an aggregate as one record. @default true
   */
  readonly deaggregate?: Deaggregate;
  /**
   * The time reserved at the end of an invocation, in milliseconds. Once less than this is left, no further record is
   * started, and running handlers have the first half of it to return. At most half of an invocation's time is reserved.
   * @default 5000
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

/** The delivery options of `scanBatch`, and options of the consumer's constructor. */
export interface LambdaBatchOptions<Value = undefined>
  extends LambdaOptions<Value>, Omit<BatchOptions<Value>, "signal" | "maxWaitMs"> {}

/** The options other than those of the delivery, with all defaults filled in. */
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

/** Options of a scan that have no effect in Lambda, and their replacements. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  signal: "has no effect in Lambda: an invocation ends by its time",
  maxWaitMs:
    "has no effect in Lambda: an event arrives complete. Set the mapping's " +
    "MaximumBatchingWindowInSeconds",
};

const DEFAULT_DRAIN_MS = 5000;
/** The response must reach Lambda before the function's timeout. */
const MIN_DRAIN_MS = 100;

/** The default logger. Lambda shows only what was printed. */
const CONSOLE: Logger = {
  debug: () => {},
  info: () => {},
  warn: (message, fields) => console.warn(message, fields),
  error: (message, fields) => console.error(message, fields),
};

/**
 * Splits the options of `toLambdaHandler` into those of the delivery, which are not checked here, and the others, which
 * are. @throws ConfigError that names the option
 */
export function splitOptions<Value>(
  options: LambdaOptions<Value>,
): readonly [DeliveryOptions<Value>, ResolvedLambdaOptions] {
  return split("toLambdaHandler", options, RECORDS);
}

/** The same for `toLambdaBatchHandler`. */
export function splitBatchOptions<Value>(
  options: LambdaBatchOptions<Value>,
): readonly [BatchOptions<Value>, ResolvedLambdaOptions] {
  return split("toLambdaBatchHandler", options, BATCHES);
}

function split<Value, Options extends LambdaOptions<Value>>(
  of: string,
  options: Options,
  names: Readonly<Record<string, true>>,
): readonly [Omit<Options, keyof ResolvedLambdaOptions>, ResolvedLambdaOptions] {
  for (const [name, why] of Object.entries(UNSUPPORTED)) {
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
        MIN_DRAIN_MS,
      ),
    },
  ];
}

/** The application is part of a letter's id, so a default would give other ids than the consumer's. */
function checkApplication(application: unknown, onFailure: unknown): string {
  const hasQueue = typeof onFailure === "object" && onFailure !== null;
  if (application === undefined && !hasQueue) return "default";
  return checkApplicationName(application, "letters are kept under it");
}

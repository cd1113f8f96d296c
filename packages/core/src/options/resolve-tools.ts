import { systemClock, type Clock } from "../clock.ts";
import { ConfigError } from "../errors.ts";
import type { Deaggregate } from "../kinesis/aggregates/shard-aggregates.ts";
import type { Counter } from "../telemetry/counter.ts";
import type { Logger } from "../telemetry/logger.ts";
import { checkFunction, checkMethods, shown } from "./option-values.ts";

/** Options shared by everything that delivers records: a consumer and an AWS Lambda function. */
export interface Tools {
  readonly counter?: Counter | undefined;
  readonly logger?: Logger | undefined;
  readonly clock?: Clock | undefined;
  /** Returns random numbers in [0, 1), for jitter. */
  readonly random?: (() => number) | undefined;
}

export interface ResolvedTools {
  readonly counter: Counter | undefined;
  readonly logger: Logger | undefined;
  readonly clock: Clock;
  readonly random: () => number;
}

/** No control characters: some databases cut a name at NUL, others refuse it. */
const APPLICATION_NAME = /^[^\p{Cc}\p{Surrogate}]{1,255}$/u;

/** Validates these options and applies defaults. @throws ConfigError that names the option */
export function resolveTools(tools: Tools): ResolvedTools {
  const { clock = systemClock, random = Math.random, counter, logger } = tools;
  checkMethods("clock", clock, ["now", "monotonic", "setTimer", "yield"], "a Clock");
  checkFunction("random", random);
  if (counter !== undefined) checkMethods("counter", counter, ["add"], "a Counter");
  if (logger !== undefined) {
    checkMethods("logger", logger, ["debug", "info", "warn", "error"], "a Logger");
  }
  return { clock, random, counter, logger };
}

/** @param use what is stored under the name, for the message @throws ConfigError */
export function checkApplicationName(application: unknown, use: string): string {
  if (typeof application === "string" && APPLICATION_NAME.test(application)) return application;
  throw new ConfigError(
    "application",
    "must be a name of 1 to 255 characters, without control characters and halves of surrogate " +
      `pairs: ${use}`,
  );
}

/** @throws ConfigError */
export function checkDeaggregate(deaggregate: unknown): Deaggregate {
  if (typeof deaggregate === "boolean" || deaggregate === "all") return deaggregate;
  throw new ConfigError("deaggregate", `must be true, false or "all", not ${shown(deaggregate)}`);
}

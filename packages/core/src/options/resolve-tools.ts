import { systemClock, type Clock } from "../clock.ts";
import { ConfigError } from "../errors.ts";
import type { Deaggregate } from "../kinesis/aggregates/shard-aggregates.ts";
import type { Counter } from "../telemetry/counter.ts";
import type { Logger } from "../telemetry/logger.ts";
import { checkFunction, checkMethods, shown } from "./option-values.ts";

/** What everything that delivers records can be given: a consumer, and a function of AWS Lambda. */
export interface Tools {
  readonly counter?: Counter | undefined;
  readonly logger?: Logger | undefined;
  readonly clock?: Clock | undefined;
  /** Numbers in [0, 1), for jitter. */
  readonly random?: (() => number) | undefined;
}

export interface ResolvedTools {
  readonly counter: Counter | undefined;
  readonly logger: Logger | undefined;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Databases disagree on control characters: some cut a name at NUL, some refuse it. */
const APPLICATION_NAME = /^[^\p{Cc}\p{Surrogate}]{1,255}$/u;

/** @throws ConfigError that names the option */
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

/** @throws ConfigError @param use what is kept under the name, for the message */
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

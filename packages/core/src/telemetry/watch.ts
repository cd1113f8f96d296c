import type { Clock } from "../clock.ts";
import { conditionsOf, type Condition, type Observed } from "./health.ts";
import type { Telemetry } from "./telemetry.ts";

/** How often conditions are checked, in milliseconds. */
const CHECK_EVERY_MS = 5000;
const MINUTE_MS = 60_000;
/** How often a lasting condition is logged again. */
const AGAIN_MS = 10 * MINUTE_MS;

/** The conditions that are logged here. Failing calls are logged by `FailingCalls`. */
const LOGGED: Partial<
  Record<
    Condition["kind"],
    { readonly afterMs: number; readonly everyMs: number; readonly over?: string }
  >
> = {
  starting: { afterMs: MINUTE_MS, everyMs: AGAIN_MS, over: "the start is over" },
  stopping: { afterMs: CHECK_EVERY_MS, everyMs: 2 * CHECK_EVERY_MS },
  stuck: { afterMs: 0, everyMs: AGAIN_MS, over: "the handler has returned" },
  unread: { afterMs: 0, everyMs: AGAIN_MS, over: "all shards get replies of GetRecords again" },
  unflushed: { afterMs: 0, everyMs: AGAIN_MS, over: "the store accepts finished work again" },
};

interface Seen {
  readonly condition: Condition;
  readonly since: number;
  loggedAt: number | undefined;
}

/**
 * Logs conditions that prevent the consumer from working for long: when they begin, every ten minutes, and when they
 * end. Without a logger, a start that makes no progress is reported as a process warning.
 */
export class Watch {
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #status: () => Observed;
  readonly #seen = new Map<string, Seen>();
  #warned = false;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, telemetry: Telemetry, status: () => Observed) {
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#status = status;
  }

  start(): void {
    this.#cancel = this.#clock.setTimer(() => {
      this.start();
      this.#check();
    }, CHECK_EVERY_MS);
  }

  stop(): void {
    this.#cancel?.();
  }

  #check(): void {
    const now = this.#clock.monotonic();
    const keys = new Set<string>();
    for (const condition of conditionsOf(this.#status(), { stuckAfterMs: MINUTE_MS })) {
      const key = `${condition.kind} ${condition.of ?? ""}`;
      keys.add(key);
      const { since = now, loggedAt } = this.#seen.get(key) ?? {};
      const seen = { condition, since, loggedAt };
      this.#seen.set(key, seen);
      this.#logIfDue(seen, now);
    }
    for (const [key, seen] of this.#seen) {
      if (keys.has(key)) continue;
      this.#seen.delete(key);
      this.#logOver(seen);
    }
  }

  #logIfDue(seen: Seen, now: number): void {
    const { condition, since, loggedAt } = seen;
    const logged = LOGGED[condition.kind];
    if (logged === undefined || now - since < logged.afterMs) return;
    if (loggedAt !== undefined && now - loggedAt < logged.everyMs) return;
    seen.loggedAt = now;
    this.#telemetry.warn(condition.message, { ...condition.details });
    if (condition.kind === "starting") this.#warnProcess(condition, now - since);
  }

  #logOver({ condition, loggedAt }: Seen): void {
    const over = LOGGED[condition.kind]?.over;
    if (loggedAt === undefined || over === undefined) return;
    const { shardId } = condition.details;
    this.#telemetry.info(over, { shardId });
  }

  #warnProcess({ message, details }: Condition, forMs: number): void {
    if (this.#telemetry.logs || this.#warned) return;
    this.#warned = true;
    const { stream, application } = this.#telemetry.source;
    const { operation, why } = details;
    const cause = [operation, why].filter((part) => part !== undefined).join(": ");
    process.emitWarning(
      `the consumer of stream "${stream}" (application "${application}") has not begun to read for ` +
        `${Math.round(forMs / 1000)} s: ${message}${cause === "" ? "" : `: ${cause}`}. ` +
        "Give it a logger to see more.",
      { type: "KinesisConsumerWarning", code: "KC_NOT_READING" },
    );
  }
}

import type { Clock } from "../clock.ts";
import { conditionsOf, type Condition, type Observed } from "./health.ts";
import type { Telemetry } from "./telemetry.ts";

/** How often it looks, in milliseconds. */
const LOOKS_EVERY_MS = 5000;
const MINUTE_MS = 60_000;
/** What lasts is logged again so often. */
const AGAIN_MS = 10 * MINUTE_MS;

/** The conditions that are logged. `Troubles` logs calls that fail. */
const LOGGED: Partial<
  Record<
    Condition["kind"],
    { readonly afterMs: number; readonly everyMs: number; readonly over?: string }
  >
> = {
  starting: { afterMs: MINUTE_MS, everyMs: AGAIN_MS, over: "the start is over" },
  stopping: { afterMs: LOOKS_EVERY_MS, everyMs: 2 * LOOKS_EVERY_MS },
  stuck: { afterMs: 0, everyMs: AGAIN_MS, over: "the handler has returned" },
  unread: { afterMs: 0, everyMs: AGAIN_MS, over: "all shards get replies of GetRecords again" },
  unflushed: { afterMs: 0, everyMs: AGAIN_MS, over: "the store takes what is finished again" },
};

interface Seen {
  readonly condition: Condition;
  readonly since: number;
  loggedAt: number | undefined;
}

/**
 * Logs what keeps the consumer from its work for long: once, then seldom, and when it is over. Without
 * a logger, a start that does not progress is a process warning, so that its cause can be found.
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
      this.#look();
    }, LOOKS_EVERY_MS);
  }

  stop(): void {
    this.#cancel?.();
  }

  #look(): void {
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

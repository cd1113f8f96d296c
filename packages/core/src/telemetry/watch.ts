import type { Clock } from "../clock.ts";
import { conditionsOf, type Condition, type Observed } from "./health.ts";
import type { Telemetry } from "./telemetry.ts";

/** How often it looks, in milliseconds. */
const LOOKS_EVERY_MS = 5000;
const MINUTE_MS = 60_000;
/** What lasts is told again so often. */
const AGAIN_MS = 10 * MINUTE_MS;

/** What the log tells of; calls that fail tell of themselves. */
const TOLD: Partial<
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
  toldAt: number | undefined;
}

/**
 * Tells the log what keeps the consumer from its work for long: once, then seldom, and when it is
 * over. A start that does not get on is a process warning where there is no logger: otherwise
 * nobody would ever learn why nothing happens.
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
      const { since = now, toldAt } = this.#seen.get(key) ?? {};
      const seen = { condition, since, toldAt };
      this.#seen.set(key, seen);
      this.#tellIfDue(seen, now);
    }
    for (const [key, seen] of this.#seen) {
      if (keys.has(key)) continue;
      this.#seen.delete(key);
      this.#tellOver(seen);
    }
  }

  #tellIfDue(seen: Seen, now: number): void {
    const { condition, since, toldAt } = seen;
    const told = TOLD[condition.kind];
    if (told === undefined || now - since < told.afterMs) return;
    if (toldAt !== undefined && now - toldAt < told.everyMs) return;
    seen.toldAt = now;
    this.#telemetry.warn(condition.message, { ...condition.details });
    if (condition.kind === "starting") this.#warnProcess(condition, now - since);
  }

  #tellOver({ condition, toldAt }: Seen): void {
    const over = TOLD[condition.kind]?.over;
    if (toldAt === undefined || over === undefined) return;
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

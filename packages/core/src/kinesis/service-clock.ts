import type { Clock } from "../clock.ts";

/** The part of an SDK command to which a middleware is added. */
interface WithMiddleware {
  readonly middlewareStack: {
    add(
      middleware: (next: (args: never) => Promise<Reply>) => (args: never) => Promise<Reply>,
      options: { readonly step: "deserialize"; readonly name: string; readonly override: boolean },
    ): void;
  };
}

interface Reply {
  readonly response: unknown;
}

/**
 * The service's time of day, by the `Date` header of its last reply. Before the first reply, it is this
 * machine's time. Later changes of this machine's wall clock have no effect.
 */
export class ServiceClock {
  readonly #clock: Clock;
  /** The time in the last reply that had one, and this machine's monotonic clock at that moment. */
  #last: { readonly at: number; readonly monotonic: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): Date {
    if (this.#last === undefined) return new Date(this.#clock.now());
    return new Date(this.#last.at + this.#clock.monotonic() - this.#last.monotonic);
  }

  /** Reads the time from the reply to this command, with a middleware. */
  readFrom(command: WithMiddleware): void {
    command.middlewareStack.add(
      (next) => async (args) => {
        const output = await next(args);
        const { headers } = output.response as { headers?: Record<string, string> };
        const at = Date.parse(headers?.["date"] ?? "");
        if (!Number.isNaN(at)) this.#last = { at, monotonic: this.#clock.monotonic() };
        return output;
      },
      { step: "deserialize", name: "kcServiceTime", override: true },
    );
  }
}

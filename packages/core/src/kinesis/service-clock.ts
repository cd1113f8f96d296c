import type { Clock } from "../clock.ts";

/** The part of an SDK command that a middleware is added to. */
interface Hooked {
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
 * The service's time of day, by the `Date` header of its last reply. It is this machine's until then.
 * A wall clock that is set afterwards changes nothing.
 */
export class ServiceClock {
  readonly #clock: Clock;
  /** The time of day in the last reply that had one, and this machine's monotonic clock then. */
  #served: { readonly at: number; readonly monotonic: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): Date {
    if (this.#served === undefined) return new Date(this.#clock.now());
    return new Date(this.#served.at + this.#clock.monotonic() - this.#served.monotonic);
  }

  /** Reads the time from this command's reply, through the one hook that every SDK command has. */
  readFrom(command: Hooked): void {
    command.middlewareStack.add(
      (next) => async (args) => {
        const output = await next(args);
        const { headers } = output.response as { headers?: Record<string, string> };
        const at = Date.parse(headers?.["date"] ?? "");
        if (!Number.isNaN(at)) this.#served = { at, monotonic: this.#clock.monotonic() };
        return output;
      },
      { step: "deserialize", name: "kcServiceTime", override: true },
    );
  }
}

import type { Readable } from "node:stream";
import { brokenOff } from "../reply-memory.ts";
import type { Cancellation } from "./connection-pool.ts";
import type { SdkHandler } from "./sdk-handlers.ts";

type Handle = SdkHandler["handle"];

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

/**
 * Sends the requests to one endpoint through a proxy. It limits them itself: the agent does not count a
 * tunnel that is being opened, and where one fails, it forgets the requests that wait.
 */
export class ProxiedOrigin {
  readonly #handler: SdkHandler;
  readonly #most: number;
  #active = 0;
  readonly #waiting: Waiter[] = [];

  /** @param most requests at once */
  constructor(handler: SdkHandler, most: number) {
    this.#handler = handler;
    this.#most = most;
  }

  /** @param cancellation ends the wait for a turn; from there on, the options' own signal and time-out count */
  async request(
    request: Parameters<Handle>[0],
    options: Parameters<Handle>[1],
    cancellation: Cancellation,
  ): ReturnType<Handle> {
    if (this.#active < this.#most) this.#active += 1;
    else await this.#turn(cancellation);
    try {
      if (cancellation.reason !== undefined) throw cancellation.reason;
      const output = await this.#handler.handle(request, options);
      // The tunnel is in use until the body has been read.
      const body = output.response.body as Readable;
      if (body.closed) this.#giveBack();
      else body.once("close", () => this.#giveBack());
      return output;
    } catch (error) {
      this.#giveBack();
      throw error;
    }
  }

  /** Closes all tunnels. Requests reject that are under way, or wait. */
  destroy(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(brokenOff());
    this.#handler.destroy();
  }

  #turn(cancellation: Cancellation): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      this.#waiting.push(waiter);
      cancellation.step = (reason) => {
        const index = this.#waiting.indexOf(waiter);
        if (index >= 0) this.#waiting.splice(index, 1);
        reject(reason);
      };
    });
  }

  #giveBack(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#active -= 1;
    else next.resolve();
  }
}

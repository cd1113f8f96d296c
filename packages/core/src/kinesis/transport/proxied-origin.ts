import type { Readable } from "node:stream";
import type { Cancellation } from "./connection-pool.ts";
import { connectionClosed } from "./sdk-errors.ts";
import type { SdkHandler } from "./sdk-handlers.ts";

type Handle = SdkHandler["handle"];

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

/**
 * Sends the requests to one endpoint through a proxy, with a concurrency limit of its own: the agent's limit
 * does not count tunnels that are being opened, and when one fails, the agent drops the waiting requests.
 */
export class ProxiedOrigin {
  readonly #handler: SdkHandler;
  readonly #maxRequests: number;
  #active = 0;
  readonly #waiting: Waiter[] = [];

  /** @param maxRequests the number of requests in flight */
  constructor(handler: SdkHandler, maxRequests: number) {
    this.#handler = handler;
    this.#maxRequests = maxRequests;
  }

  /** @param cancellation ends the wait for a free slot. After that, the options' signal and timeout apply */
  async request(
    request: Parameters<Handle>[0],
    options: Parameters<Handle>[1],
    cancellation: Cancellation,
  ): ReturnType<Handle> {
    if (this.#active < this.#maxRequests) this.#active += 1;
    else await this.#wait(cancellation);
    try {
      if (cancellation.reason !== undefined) throw cancellation.reason;
      const output = await this.#handler.handle(request, options);
      // The tunnel is in use until the body has been read.
      const body = output.response.body as Readable;
      if (body.closed) this.#release();
      else body.once("close", () => this.#release());
      return output;
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** Closes all tunnels. Requests that are in flight or waiting reject. */
  destroy(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(connectionClosed());
    this.#handler.destroy();
  }

  #wait(cancellation: Cancellation): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      this.#waiting.push(waiter);
      cancellation.onCancel = (reason) => {
        const index = this.#waiting.indexOf(waiter);
        if (index >= 0) this.#waiting.splice(index, 1);
        reject(reason);
      };
    });
  }

  /** Passes the slot to the next waiting request, if any. */
  #release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#active -= 1;
    else next.resolve();
  }
}

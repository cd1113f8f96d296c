import { CallLimit } from "../call-limit.ts";
import type { Clock } from "../clock.ts";
import type { CallPermit } from "./call-permit.ts";
import type { KinesisClientLike } from "./kinesis-client-like.ts";
import { redactReply } from "./redact-reply.ts";

/** A call fails if no byte arrives from the service for this long. */
const INACTIVITY_TIMEOUT_MS = 30_000;

/** Sends calls with the user's client: once each, under a permit, with a timeout. */
export class CallSender {
  readonly #client: KinesisClientLike;
  readonly #clock: Clock;

  constructor(client: KinesisClientLike, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** @throws what the client throws, without quotes from the reply; TimeoutError; the signal's reason */
  async send<Output>(
    operation: string,
    command: object,
    permit: CallPermit,
    signal: AbortSignal,
  ): Promise<Output> {
    const limit = new CallLimit({
      clock: this.#clock,
      timeoutMs: INACTIVITY_TIMEOUT_MS,
      onTimeout: () => timeoutError(operation),
      signals: [signal],
    });
    try {
      permit.beginCall({
        onActivity: () => limit.renew(),
        onAbort: (error) => limit.end(error),
      });
      const work: Promise<Output> = this.#client.send(command, limit.options);
      return await limit.wait(work);
    } catch (error) {
      throw redactReply(error);
    } finally {
      if (!limit.isOver) permit.activity();
      permit.endCall();
      limit.stop();
    }
  }
}

function timeoutError(operation: string): Error {
  const error = new Error(`${operation} did not answer within ${INACTIVITY_TIMEOUT_MS} ms`);
  error.name = "TimeoutError";
  return error;
}

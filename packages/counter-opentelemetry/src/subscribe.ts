import { channel, tracingChannel } from "node:diagnostics_channel";
import { diag } from "@opentelemetry/api";

/** The members that `node:diagnostics_channel` adds to a message when the call has ended. */
export interface Call {
  result?: unknown;
  error?: unknown;
}

/** Whether the call failed. It checks only that `error` exists, since a handler may throw `undefined`. */
export function failed(message: Call): boolean {
  return "error" in message;
}

/** Subscribes to the begin and end of each call on a tracing channel, async or not. Returns an unsubscribe function. */
export function onCalls<Message extends Call>(
  name: string,
  begin: (message: Message) => void,
  end: (message: Message) => void,
): () => void {
  const calls = tracingChannel<unknown, Message>(name);
  const ended = guarded(end);
  const subscribers = {
    start: guarded(begin),
    // If the call returned a promise, there is neither a result nor an error yet.
    end: (message: Message): void => {
      if ("result" in message || failed(message)) ended(message);
    },
    asyncStart: (): void => {},
    asyncEnd: ended,
    error: (): void => {},
  };
  calls.subscribe(subscribers);
  return () => calls.unsubscribe(subscribers);
}

/** Subscribes to the messages of a plain channel. Returns an unsubscribe function. */
export function onMessages<Message>(
  name: string,
  listener: (message: Message) => void,
): () => void {
  const listen = guarded(listener) as (message: unknown) => void;
  channel(name).subscribe(listen);
  return () => {
    channel(name).unsubscribe(listen);
  };
}

/** Logs the errors of a listener to OpenTelemetry's `diag`. Uncaught, they would end the process. */
function guarded<Message>(listener: (message: Message) => void): (message: Message) => void {
  return (message) => {
    try {
      listener(message);
    } catch (error) {
      diag.error("@kc/counter-opentelemetry: a span could not be created", error);
    }
  };
}

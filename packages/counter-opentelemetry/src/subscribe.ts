import { channel, tracingChannel } from "node:diagnostics_channel";
import { diag } from "@opentelemetry/api";

/** What `node:diagnostics_channel` adds to a message once the call has ended. */
export interface Call {
  result?: unknown;
  error?: unknown;
}

/** A handler may throw `undefined`: that there is an error counts, not what it is. */
export function failed(message: Call): boolean {
  return "error" in message;
}

/** Hears of each call on a tracing channel twice, async or not. Answers with what ends it. */
export function onCalls<Message extends Call>(
  name: string,
  begin: (message: Message) => void,
  end: (message: Message) => void,
): () => void {
  const calls = tracingChannel<unknown, Message>(name);
  const ended = guarded(end);
  const subscribers = {
    start: guarded(begin),
    // Of a promise there is neither yet.
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

/** Hears of each message on a plain channel. Answers with what ends it. */
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

/** What a listener throws ends the process: it goes to OpenTelemetry's own log instead. */
function guarded<Message>(listener: (message: Message) => void): (message: Message) => void {
  return (message) => {
    try {
      listener(message);
    } catch (error) {
      diag.error("@kc/counter-opentelemetry: a span could not be made", error);
    }
  };
}

import { ConfigError } from "../errors.ts";

/** The stream as every call names it: by name, or by ARN where the user gave one. */
export type StreamId = { readonly StreamName: string } | { readonly StreamARN: string };

const STREAM_NAME = /^[a-zA-Z0-9_.-]{1,128}$/;
const STREAM_ARN = /^arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]{12}:stream\/[a-zA-Z0-9_.-]{1,128}$/;

/** The option `stream`, checked. @throws ConfigError */
export function resolveStream(stream: unknown): StreamId {
  if (typeof stream !== "string" || stream === "") {
    throw new ConfigError("stream", "must be the name or the ARN of a stream");
  }
  if (stream.startsWith("arn:")) {
    if (STREAM_ARN.test(stream)) return { StreamARN: stream };
    throw new ConfigError("stream", `"${stream}" is not the ARN of a Kinesis data stream`);
  }
  if (STREAM_NAME.test(stream)) return { StreamName: stream };
  throw new ConfigError(
    "stream",
    `"${stream}" is not a stream's name: 1 to 128 letters, digits, "_", "." and "-"`,
  );
}

/** `orders`, of `orders` or `arn:aws:kinesis:eu-west-1:123456789012:stream/orders`. */
export function streamNameOf(id: StreamId): string {
  return "StreamName" in id ? id.StreamName : id.StreamARN.slice(id.StreamARN.indexOf("/") + 1);
}

/**
 * Do both times belong to one stream, or was it deleted and recreated under its name? Stores and
 * replies may round to a second, and a stream is not recreated within one. Some emulators report no time.
 */
export function isOneCreation(a: Date | undefined, b: Date | undefined): boolean {
  return a === undefined || b === undefined || Math.abs(a.getTime() - b.getTime()) <= 1000;
}

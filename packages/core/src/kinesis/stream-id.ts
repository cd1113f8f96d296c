import { ConfigError } from "../errors.ts";

/** How calls name the stream: by name, or by ARN if the user passed one. */
export type StreamId = { readonly StreamName: string } | { readonly StreamARN: string };

const STREAM_NAME = /^[a-zA-Z0-9_.-]{1,128}$/;
const STREAM_ARN = /^arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]{12}:stream\/[a-zA-Z0-9_.-]{1,128}$/;

/** Validates the option `stream`. @throws ConfigError */
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

/** The name of the stream: `orders` for `orders` or `arn:aws:kinesis:eu-west-1:123456789012:stream/orders`. */
export function streamNameOf(id: StreamId): string {
  return "StreamName" in id ? id.StreamName : id.StreamARN.slice(id.StreamARN.indexOf("/") + 1);
}

/**
 * Whether two creation times belong to the same stream. Otherwise it was deleted and recreated under its
 * name. Stores and replies may round to a second, and recreating a stream takes longer than that. Some
 * emulators report no time: then the stream counts as the same.
 */
export function isSameStream(a: Date | undefined, b: Date | undefined): boolean {
  return a === undefined || b === undefined || Math.abs(a.getTime() - b.getTime()) <= 1000;
}

/** The stream as every call names it: by name, or by ARN where the user gave one. */
export type StreamId = { readonly StreamName: string } | { readonly StreamARN: string };

/** `orders`, of `orders` or `arn:aws:kinesis:eu-west-1:123456789012:stream/orders`. */
export function streamNameOf(id: StreamId): string {
  return "StreamName" in id ? id.StreamName : id.StreamARN.slice(id.StreamARN.indexOf("/") + 1);
}

/**
 * Were both told of one stream, or was it deleted and made anew under its name? Stores and replies may
 * cut or round to a second; nobody makes a stream anew within one. Some emulators tell no time.
 */
export function isOneCreation(a: Date | undefined, b: Date | undefined): boolean {
  return a === undefined || b === undefined || Math.abs(a.getTime() - b.getTime()) <= 1000;
}

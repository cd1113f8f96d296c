/** The stream as every call names it: by name, or by ARN where the user gave one. */
export type StreamId = { readonly StreamName: string } | { readonly StreamARN: string };

/** `orders`, of `orders` or `arn:aws:kinesis:eu-west-1:123456789012:stream/orders`. */
export function streamNameOf(id: StreamId): string {
  return "StreamName" in id ? id.StreamName : id.StreamARN.slice(id.StreamARN.indexOf("/") + 1);
}

import type { Handler } from "../handler.ts";
import type { ResolvedDelivery } from "../options/resolve-delivery.ts";
import { concurrent } from "./concurrent.ts";
import { decodingOf, type Decoder } from "./decode.ts";
import type { LetterSource } from "./letters/dead-letter.ts";
import type { OpenDelivery } from "./delivery.ts";
import { oneByOne } from "./one-by-one.ts";

/** The simplest delivery that supports the options of a scan. */
export function deliveryOf(
  handler: Handler,
  policy: ResolvedDelivery,
  source: LetterSource,
): OpenDelivery {
  const { concurrency, retry, handlerTimeoutMs, onFailure, decode } = policy;
  const isPlain =
    concurrency === 1 &&
    retry.maxAttempts === 1 &&
    handlerTimeoutMs === undefined &&
    onFailure === "stop" &&
    decode === undefined;
  if (isPlain) return oneByOne(handler, undefined);
  return concurrent(decode === undefined ? handler : decoded(handler, decode), policy, source);
}

/** Decodes each record before the handler gets it. An error of the decoder is not the handler's. */
function decoded(handler: Handler, decoder: Decoder<unknown>): Handler {
  const decode = decodingOf(decoder);
  return (record, context) => {
    decode(record);
    return handler(record, context);
  };
}

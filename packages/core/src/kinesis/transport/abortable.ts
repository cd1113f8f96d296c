import { LIMIT, type CallLimit } from "../../call-limit.ts";

/** An AbortSignal, or what the SDK had before there was one. */
type SdkSignal = Pick<AbortSignal, "aborted"> &
  Partial<Pick<AbortSignal, "reason" | "addEventListener" | "removeEventListener">> & {
    onabort: unknown;
  };

/** Options of a request that say who may end it. */
export interface Abortable {
  readonly abortSignal?: SdkSignal | undefined;
  readonly [LIMIT]?: CallLimit;
}

/**
 * Calls back with the reason when the request is to end: at once if it is so already.
 * @returns what ends the listening, where something does not end with the call
 */
export function whenAborted(
  options: Abortable,
  end: (reason: unknown) => void,
): (() => void) | undefined {
  const { [LIMIT]: limit } = options;
  // A copy of the options may have another signal.
  if (limit?.options === options) {
    limit.whenOver(end);
    return undefined;
  }
  const { abortSignal: signal } = options;
  if (signal === undefined || signal === null) return undefined;
  const onAbort = (): void => end(signal.reason);
  if (signal.aborted) onAbort();
  else if (signal.addEventListener) signal.addEventListener("abort", onAbort, { once: true });
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- it has no other way
  else signal.onabort = onAbort;
  return () => signal.removeEventListener?.("abort", onAbort);
}

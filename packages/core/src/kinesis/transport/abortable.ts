import { LIMIT, type CallLimit } from "../../call-limit.ts";

/** An AbortSignal, or the SDK's own class from before Node had AbortSignal. */
type SdkSignal = Pick<AbortSignal, "aborted"> &
  Partial<Pick<AbortSignal, "reason" | "addEventListener" | "removeEventListener">> & {
    onabort: unknown;
  };

/** The options of a request that can abort it. */
export interface Abortable {
  readonly abortSignal?: SdkSignal | undefined;
  readonly [LIMIT]?: CallLimit;
}

/**
 * Calls `end` with the reason when the request is aborted; immediately if it already is.
 * @returns a function that removes the listener; `undefined` if none was added
 */
export function whenAborted(
  options: Abortable,
  end: (reason: unknown) => void,
): (() => void) | undefined {
  const { [LIMIT]: limit } = options;
  // Copied options may have another signal.
  if (limit?.options === options) {
    limit.whenOver(end);
    return undefined;
  }
  const { abortSignal: signal } = options;
  if (signal === undefined || signal === null) return undefined;
  const onAbort = (): void => end(signal.reason);
  if (signal.aborted) onAbort();
  else if (signal.addEventListener) signal.addEventListener("abort", onAbort, { once: true });
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- old signals have no other way
  else signal.onabort = onAbort;
  return () => signal.removeEventListener?.("abort", onAbort);
}

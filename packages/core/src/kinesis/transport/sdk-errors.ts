/** Errors as the SDK's own handler names them: its retries, and callers, decide by the name and the code. */

export function abortError(reason: unknown): Error {
  return Object.assign(new Error("Request aborted", { cause: reason }), { name: "AbortError" });
}

export function timeoutError(message: string): Error {
  return Object.assign(new Error(message), { name: "TimeoutError", code: "ETIMEDOUT" });
}

/** A broken connection has the name of a time-out, and its own code. Any other error stays as it is. */
export function asTimeout(error: unknown): unknown {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  const isOne = code === "ECONNRESET" || code === "EPIPE" || code === "ETIMEDOUT";
  return isOne ? Object.assign(error as Error, { name: "TimeoutError" }) : error;
}

/** Errors with the names and codes of the SDK's own handler: its retries, and callers, depend on them. */

export function abortError(reason: unknown): Error {
  return Object.assign(new Error("Request aborted", { cause: reason }), { name: "AbortError" });
}

export function timeoutError(message: string): Error {
  return Object.assign(new Error(message), { name: "TimeoutError", code: "ETIMEDOUT" });
}

/** The connection closed in the middle of a reply. */
export function connectionClosed(): Error {
  return Object.assign(new Error("the connection closed before the reply had ended"), {
    code: "ECONNRESET",
  });
}

/** Names the error of a broken connection TimeoutError; its code stays. Other errors stay unchanged. */
export function asTimeout(error: unknown): unknown {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  const isBroken = code === "ECONNRESET" || code === "EPIPE" || code === "ETIMEDOUT";
  return isBroken ? Object.assign(error as Error, { name: "TimeoutError" }) : error;
}

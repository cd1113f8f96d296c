/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Resolves as `work` does. @throws the signal's reason as soon as it aborts; `work` itself is not stopped */
export function unlessAborted<Answer>(
  signal: AbortSignal | undefined,
  work: Answer | PromiseLike<Answer>,
): Promise<Answer> {
  const answer = Promise.resolve(work);
  if (signal === undefined) return answer;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

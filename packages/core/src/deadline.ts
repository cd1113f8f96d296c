/** Resolves when the signal aborts; never, if it does not. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** What `work` answers. @throws the signal's reason as soon as it aborts, whatever becomes of the work */
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

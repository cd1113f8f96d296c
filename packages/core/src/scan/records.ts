import { SkipCheckpoint, type Handler } from "../handler.ts";
import type { ConsumerRecord } from "../record.ts";

interface Offer {
  readonly record: ConsumerRecord;
  /** Aborts when the record is somebody else's: its shard was lost while it waited in line. */
  readonly signal: AbortSignal;
  readonly answer: (outcome?: typeof SkipCheckpoint) => void;
}

/**
 * A scan turned round, for `for await`. Each shard offers its next record and waits; asking for the
 * following one acknowledges the last. Leaving the loop, by `break` or a throw, acknowledges nothing
 * and stops the scan.
 */
export async function* recordsOf(
  scan: (handler: Handler, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal | undefined,
): AsyncGenerator<ConsumerRecord, void, undefined> {
  const stop = new AbortController();
  const offers: Offer[] = [];
  let wake = (): void => {};
  const decline = (): void => {
    for (const { answer } of offers.splice(0)) answer(SkipCheckpoint);
    wake();
  };
  const onAbort = (): void => stop.abort(signal?.reason);
  stop.signal.addEventListener("abort", decline, { once: true });
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });

  let running = true;
  const handler: Handler = (record, { signal: lost }) =>
    stop.signal.aborted
      ? SkipCheckpoint
      : new Promise((resolve) => {
          offers.push({ record, signal: lost, answer: resolve });
          wake();
        });
  const scanning = scan(handler, stop.signal).finally(() => {
    running = false;
    wake();
  });
  // Its failure is thrown below, where the loop ends.
  scanning.catch(() => {});

  let inHand: Offer | undefined;
  try {
    while (running && !stop.signal.aborted) {
      inHand = offers.shift();
      if (inHand === undefined) {
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      if (inHand.signal.aborted) {
        inHand.answer(SkipCheckpoint);
        continue;
      }
      yield inHand.record;
      inHand.answer();
      inHand = undefined;
    }
  } finally {
    inHand?.answer(SkipCheckpoint);
    signal?.removeEventListener("abort", onAbort);
    stop.abort();
    await scanning;
  }
}

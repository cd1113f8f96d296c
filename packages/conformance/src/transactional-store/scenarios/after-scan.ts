import { setImmediate as turn } from "node:timers/promises";
import { compareCheckpoints, checkpointAt, Consumer, type TransactionalStore } from "@kc/core";
import { rejection } from "../../expectations.ts";
import { expectEffects } from "../fixtures.ts";
import type { TransactionalStoreHarness, TransactionalStoreScenario } from "../harness.ts";
import { RECORDS } from "../runs/plan.ts";
import { fillStream, type FilledStream } from "../runs/stream.ts";

const APPLICATION = "after-scan";
/** The first shard's records that the scan finishes; the others are in flight when it ends. */
const SCANNED = new Set([0, 3, 4].map((n) => `0-${n}`));

/** A new process each time: writes that are pending when it ends are lost with its store. */
function consumerOn<S extends TransactionalStore>(store: S, { name, client }: FilledStream) {
  return new Consumer({
    store,
    client,
    stream: name,
    application: APPLICATION,
    start: "TRIM_HORIZON",
  });
}

/** Finishes some records while earlier ones are in flight, and ends when these fail. */
async function scanSome(store: TransactionalStore, stream: FilledStream): Promise<void> {
  let left = SCANNED.size;
  let areDone = (): void => {};
  const done = new Promise<void>((resolve) => (areDone = resolve));
  const scan = consumerOn(store, stream).scan(
    async (record) => {
      if (SCANNED.has(record.text())) {
        left -= 1;
        if (left === 0) areDone();
        return;
      }
      await done;
      await turn();
      throw new Error("as planned");
    },
    { concurrency: RECORDS, ordering: "none", retry: { maxAttempts: 1 } },
  );
  await rejection(scan, "a scan whose handler fails");
}

/**
 * Stores effects in transactions of one record each. @param most the number of transactions after
 * which the process is gone
 */
async function transactSome(
  harness: TransactionalStoreHarness,
  store: TransactionalStore,
  stream: FilledStream,
  most: number,
): Promise<void> {
  const stop = new AbortController();
  const { last } = stream.shards[0]!;
  const transact = store.transact.bind(store);
  let done = 0;
  store.transact = async (...call) => {
    const answer = await transact(...call);
    done += 1;
    const [, { checkpoint }] = call;
    if (done === most || compareCheckpoints(checkpoint, checkpointAt(last)) >= 0) {
      await store[Symbol.asyncDispose]();
      stop.abort();
    }
    return answer;
  };
  const scope = { application: APPLICATION, streamName: stream.name };
  const scan = consumerOn(store, stream).scanTransaction(
    (records, { tx, shardId }) => {
      const [record] = records;
      return harness.apply(tx, record!.text(), { ...scope, shardId });
    },
    { maxRecords: 1, signal: stop.signal },
  );
  await scan.catch(() => undefined);
}

export const afterScanScenarios: readonly TransactionalStoreScenario[] = [
  {
    key: "transact.after-scan",
    title:
      "what a scan did beyond its watermark is not delivered again, however often transactions begin anew",
    async run({ harness }) {
      const store = await harness.open();
      if ((store.capabilities.maxAheadBytes ?? 0) === 0) return;
      const stream = await fillStream(1);
      await scanSome(store, stream);
      for (const most of [1, 2, Infinity]) {
        await transactSome(harness, await harness.open(), stream, most);
      }
      const all = stream.shards[0]!.records.map(({ text }) => text);
      await expectEffects(
        harness,
        all.filter((text) => !SCANNED.has(text)),
        "each record is done once",
      );
    },
  },
];

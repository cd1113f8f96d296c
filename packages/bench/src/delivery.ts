import { setTimeout as sleep } from "node:timers/promises";
import { Consumer, type DeliveryOptions } from "@kc/core";
import { STREAM } from "./read/canned.ts";
import { consumer, decodedPages } from "./read/contestants.ts";
import { compare, median } from "./rounds.ts";

const ROUNDS = 7;
const CONCURRENCY = 100;
const PAGES = { shards: 4, pages: 25, records: 2000, bytes: 100 };
const KEYS = 1000;
const HANDLER_MS = 5;
/** One shard with a slow handler: enough records for about a second. */
const ALONE = { shards: 1, pages: 1, records: 200, bytes: 100 };
const TOGETHER = { shards: 1, pages: 10, records: 2000, bytes: 100 };

/**
 * The cost of delivery: CPU per record from a decoded page to an async handler that does nothing,
 * one at a time and several concurrently; and the speed-up of a shard whose handler waits.
 */
export async function benchDelivery(): Promise<object> {
  const { shards, pages, records } = PAGES;
  const total = shards * pages * records;
  const client = decodedPages(PAGES, KEYS);
  const contestant = (delivery: DeliveryOptions) =>
    consumer(client, total, { awaits: true, delivery });
  const noOp = await compare(
    {
      "by key, 100 at once": contestant({ concurrency: CONCURRENCY }),
      "in no order, 100 at once": contestant({ concurrency: CONCURRENCY, ordering: "none" }),
      "one at a time, with attempts": contestant({ retry: { maxAttempts: 3 } }),
      "one at a time": contestant({}),
    },
    ROUNDS,
  );
  const micros = noOp.cpuMicrosPerRecord;
  const ratioToOneAtATime = Object.fromEntries(
    Object.entries(micros).map(([name, each]) => [
      name,
      Number((each / micros["one at a time"]!).toFixed(2)),
    ]),
  );
  const speedUps: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    const alone = await millisPerRecord(ALONE, {});
    const together = await millisPerRecord(TOGETHER, { concurrency: CONCURRENCY });
    console.error("a handler of 5 ms", { alone, together });
    speedUps.push(alone / together);
  }
  return {
    noOpHandler: { cpuMicrosPerRecord: micros, ratioToOneAtATime, rounds: ROUNDS },
    handlerOf5Ms: { timesAsFast: Number(median(speedUps).toFixed(1)), concurrency: CONCURRENCY },
  };
}

/** Wall-clock time with a handler that waits. */
async function millisPerRecord(pages: typeof ALONE, delivery: DeliveryOptions): Promise<number> {
  const total = pages.shards * pages.pages * pages.records;
  const stop = new AbortController();
  const reader = new Consumer({
    stream: STREAM,
    client: decodedPages(pages, KEYS),
    start: "TRIM_HORIZON",
    immediateRescan: true,
  });
  let records = 0;
  const since = performance.now();
  const handler = async (): Promise<void> => {
    await sleep(HANDLER_MS);
    records += 1;
    if (records === total) stop.abort();
  };
  await reader.scan(handler, { ...delivery, signal: stop.signal });
  return (performance.now() - since) / total;
}

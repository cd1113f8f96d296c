import { Canned } from "./canned.ts";
import { measure, rounded } from "./measure.ts";

const SHARDS = 1000;
/** `idleIntervalMs`, for at 250 ms they would be polled 4,000 times a second. */
const EFFECTIVE_INTERVAL_SECONDS = 1;

/** Polls, CPU and memory of a thousand shards in which nothing happens. */
export async function measureIdle(): Promise<object> {
  await using canned = await Canned.start({ shards: SHARDS, pages: 0, records: 0, bytes: 0 });
  await using one = await Canned.start({ shards: 1, pages: 0, records: 0, bytes: 0 });
  const options = { handler: "nothing", seconds: 20, warmUpSeconds: 10 } as const;
  const single = await measure({ url: one.url, ...options });
  let before = 0;
  const many = await measure({ url: canned.url, ...options }, async () => {
    before = (await canned.counts()).polls;
  });
  const polls = (await canned.counts()).polls - before;
  return {
    pollsPerShardAndInterval: rounded(
      (polls * EFFECTIVE_INTERVAL_SECONDS) / (SHARDS * many.seconds),
    ),
    cpuPercent: rounded(many.cpuMs / many.seconds / 10),
    cpuMicrosPerPoll: rounded((many.cpuMs * 1000) / polls),
    rssMB: rounded(many.rssAfterMB),
    heapKBPerShard: rounded(((many.heapMB - single.heapMB) * 1000) / (SHARDS - 1)),
  };
}

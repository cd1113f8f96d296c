import { Canned } from "./canned.ts";
import type { CannedPages } from "./canned-server.ts";
import type { Measured, Measurement } from "./child.ts";
import { measure, rounded } from "./measure.ts";

const SHARDS = 1000;
/** `idleIntervalMs`, because at 250 ms there would be 4,000 polls a second. */
const EFFECTIVE_INTERVAL_SECONDS = 1;
const READERS: readonly Measurement["reader"][] = [
  "consumer",
  "consumerOverTheSdksHttp",
  "sdkLoop",
];

/** Polls, CPU and memory of a thousand idle shards, for each reader in turn. */
export async function measureIdle(tls: CannedPages["tls"]): Promise<object> {
  const idle = { pages: 0, records: 0, bytes: 0, ...(tls && { tls }) };
  await using canned = await Canned.start({ ...idle, shards: SHARDS });
  await using one = await Canned.start({ ...idle, shards: 1 });
  const results: Record<string, object> = {};
  for (const reader of READERS) {
    const single = await read(reader, one);
    const many = await read(reader, canned);
    results[reader] = {
      pollsPerShardAndInterval: rounded(
        (many.polls * EFFECTIVE_INTERVAL_SECONDS) / (SHARDS * many.seconds),
      ),
      cpuPercent: rounded(many.cpuMs / many.seconds / 10),
      cpuMsPerPoll: rounded(many.cpuMs / many.polls),
      rssMB: rounded(many.rssAfterMB),
      heapKBPerShard: rounded(((many.heapMB - single.heapMB) * 1000) / (SHARDS - 1)),
    };
    console.error(reader, results[reader]);
  }
  return results;
}

async function read(
  reader: Measurement["reader"],
  canned: Canned,
): Promise<Measured & { readonly polls: number }> {
  const { url, pages } = canned;
  const seconds = { seconds: 20, warmUpSeconds: 10 };
  let before = 0;
  const measured = await measure(
    { url, pages, reader, handler: "nothing", ...seconds },
    async () => {
      before = (await canned.counts()).polls;
    },
  );
  return { ...measured, polls: (await canned.counts()).polls - before };
}

import { Canned } from "./canned.ts";
import { measure, rounded } from "./measure.ts";

/** 50 shards at 2 MiB a second offer 100 MB a second. */
const PAGES = { shards: 50, pages: Infinity, records: 2000, bytes: 1024 };
const MAX_BUFFERED_MB = 67.1;
const RETAINED_MB = 400;

/** The growth of memory if no handler returns, and if the user keeps every record's data. */
export async function measureStuck(): Promise<object> {
  await using canned = await Canned.start(PAGES);
  const options = { url: canned.url, pages: PAGES, reader: "consumer", warmUpSeconds: 0 } as const;
  const stuck = await measure({ ...options, handler: "stuck", seconds: 10 });
  const retains = await measure({
    ...options,
    handler: "retains",
    seconds: 30,
    retainBytes: RETAINED_MB * 1e6,
  });
  return {
    maxBufferedMB: MAX_BUFFERED_MB,
    stuckHandler: {
      rssGrewByMB: rounded(stuck.rssMostMB - stuck.rssBeforeMB),
      beyondBufferMB: rounded(stuck.rssMostMB - stuck.rssBeforeMB - MAX_BUFFERED_MB),
    },
    everyDataRetained: {
      retainedMB: rounded(retains.retainedMB),
      rssGrewByMB: rounded(retains.rssMostMB - retains.rssBeforeMB),
      beyondBufferAndRetainedMB: rounded(
        retains.rssMostMB - retains.rssBeforeMB - MAX_BUFFERED_MB - retains.retainedMB,
      ),
    },
  };
}

import { compare, type Comparison } from "../rounds.ts";
import { Canned } from "./canned.ts";
import { consumer, decodedPages, sdkLoop } from "./contestants.ts";
import { measureIdle } from "./idle.ts";
import { peers } from "./peers.ts";
import { measureStuck } from "./stuck.ts";
import { rawSocket } from "./raw-socket.ts";
import { selfSigned } from "./tls.ts";

const ROUNDS = 5;
/** A shard gives 2 MiB a second: so many keep a consumer busy. */
const SHARDS = 48;
const SIZES = {
  "1 KiB x 2000": { pages: 4, bytes: 1024, records: 2000 },
  "100 B x 10000": { pages: 2, bytes: 100, records: 10_000 },
  "10 KiB x 200": { pages: 4, bytes: 10_240, records: 200 },
} as const;

/**
 * What a record costs, from the connection to the handler, side by side with what it costs by other
 * means. One run, in turn, medians of ratios within a round.
 */
export async function benchRead(): Promise<object> {
  const results: Record<string, unknown> = {};
  const tls = selfSigned();
  if (tls === undefined) results["over TLS"] = "not measured: there is no openssl here";
  for (const certificate of tls === undefined ? [undefined] : [tls, undefined]) {
    for (const [size, pages] of Object.entries(SIZES)) {
      const name = certificate === undefined ? size : `${size} over TLS`;
      console.error(name);
      results[name] = await compareOver({
        shards: SHARDS,
        ...pages,
        ...(certificate === undefined ? {} : { tls: certificate }),
      });
    }
  }
  console.error("own share");
  results["own share, 1 KiB x 2000"] = await ownShare();
  console.error("peers");
  results["peers, 1 KiB x 2000"] = await peers();
  console.error("memory with a stuck handler");
  results["memory"] = await measureStuck();
  console.error("1000 idle shards");
  results["1000 idle shards"] = await measureIdle();
  return results;
}

async function compareOver(pages: Canned["pages"]): Promise<Comparison> {
  await using canned = await Canned.start(pages);
  const client = canned.client();
  const sdkClient = canned.sdkClient();
  const total = pages.shards * pages.pages * pages.records;
  try {
    return await compare(
      {
        consumer: consumer(client, total),
        consumerOverTheSdksHttp: consumer(sdkClient, total),
        consumerWireJson: consumer(client, total, { wire: "json" }),
        sdkLoop: sdkLoop(sdkClient, pages),
        rawSocket: rawSocket(canned),
      },
      ROUNDS,
    );
  } finally {
    client.destroy();
    sdkClient.destroy();
  }
}

/** Everything above wire and decoder; and what an async handler that awaits nothing adds. */
async function ownShare(): Promise<Comparison> {
  const pages = { shards: SHARDS, ...SIZES["1 KiB x 2000"] };
  const client = decodedPages(pages);
  const total = pages.shards * pages.pages * pages.records;
  return compare(
    {
      syncHandler: consumer(client, total),
      asyncHandler: consumer(client, total, { awaits: true }),
    },
    ROUNDS,
  );
}

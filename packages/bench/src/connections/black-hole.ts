import { setTimeout as sleep } from "node:timers/promises";
import { Canned } from "../read/canned.ts";
import { rounded } from "../read/measure.ts";
import { CLIENT_NAMES, CLIENTS, type ClientName } from "./clients.ts";
import { FreezingRelay } from "./freezing-relay.ts";
import { Poller } from "./poller.ts";

const SHARDS = 8;
const WARM_UP_MS = 5000;
const SAMPLE_MS = 1000;
/** The fraction of the earlier polls that counts as recovered. */
const RECOVERED = 0.75;
const GIVEN_UP_AFTER_MS = 120_000;

/**
 * All connections of a polling consumer die silently, as behind a firewall that dropped them; new
 * ones work. Measures how long it takes until the shards are polled as often as before.
 */
export async function measureBlackHole(): Promise<object> {
  console.error("connections that die silently");
  const results = await Promise.all(
    CLIENT_NAMES.map(async (name) => [name, await measure(name)] as const),
  );
  return Object.fromEntries(results);
}

async function measure(name: ClientName): Promise<object> {
  const idle = { shards: SHARDS, pages: 0, records: 0, bytes: 0, http2: CLIENTS[name].http2 };
  await using canned = await Canned.start(idle);
  await using relay = await FreezingRelay.start(Number(new URL(canned.url).port));
  await using poller = await Poller.start(name, relay.url, undefined);
  const pollsIn = async (ms: number): Promise<number> => {
    const { polls } = await canned.counts();
    await sleep(ms);
    return (await canned.counts()).polls - polls;
  };
  await sleep(WARM_UP_MS);
  const usual = await pollsIn(WARM_UP_MS);
  const perSample = (usual * SAMPLE_MS) / WARM_UP_MS;
  const cpuBefore = await poller.cpuMs();
  const connections = relay.freeze();
  const since = performance.now();
  while (performance.now() - since < GIVEN_UP_AFTER_MS) {
    const enough = (await pollsIn(SAMPLE_MS)) >= RECOVERED * perSample;
    if (!enough) continue;
    const seconds = rounded((performance.now() - since - SAMPLE_MS) / 1000);
    return {
      connections,
      secondsUntilPolledAsBefore: seconds,
      cpuMs: rounded((await poller.cpuMs()) - cpuBefore),
    };
  }
  return { connections, secondsUntilPolledAsBefore: null };
}

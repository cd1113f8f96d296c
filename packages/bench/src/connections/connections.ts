import { setTimeout as sleep } from "node:timers/promises";
import { Canned } from "../read/canned.ts";
import { rounded } from "../read/measure.ts";
import { selfSigned } from "../read/tls.ts";
import { measureBlackHole } from "./black-hole.ts";
import { CLIENT_NAMES, CLIENTS, type ClientName } from "./clients.ts";
import { Poller } from "./poller.ts";

/** Each is polled five times a second. */
const SHARDS = 20;
const WARM_UP_MS = 3000;
const MEASURED_MS = 10_000;

/** Connections and CPU of polls, by request handler, and the cost of dead connections. */
export async function benchConnections(): Promise<object> {
  const tls = selfSigned();
  return {
    "over TLS": tls ? await compare(tls) : "not measured: there is no openssl here",
    plain: await compare(undefined),
    "connections that die silently": await measureBlackHole(),
  };
}

async function compare(tls: Canned["pages"]["tls"]): Promise<object> {
  const results: Record<string, object> = {};
  for (const name of CLIENT_NAMES) {
    console.error(name, tls ? "over TLS" : "plain");
    results[name] = await measure(name, tls);
  }
  return results;
}

async function measure(name: ClientName, tls: Canned["pages"]["tls"]): Promise<object> {
  const idle = { shards: SHARDS, pages: 0, records: 0, bytes: 0, http2: CLIENTS[name].http2 };
  await using canned = await Canned.start(tls ? { ...idle, tls } : idle);
  await using poller = await Poller.start(name, canned.url, tls?.cert);
  await sleep(WARM_UP_MS);
  const [before, cpuBefore] = [await canned.counts(), await poller.cpuMs()];
  await sleep(MEASURED_MS);
  const [after, cpuAfter] = [await canned.counts(), await poller.cpuMs()];
  const polls = after.polls - before.polls;
  const per1000Polls = (count: number): number => rounded((count * 1000) / polls);
  return {
    polls,
    connectionsPer1000Polls: per1000Polls(after.connections - before.connections),
    resumedPer1000Polls: per1000Polls(after.resumed - before.resumed),
    cpuMsPer1000Polls: per1000Polls(cpuAfter - cpuBefore),
    connectionsInAll: after.connections,
  };
}

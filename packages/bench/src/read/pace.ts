import { setTimeout as sleep } from "node:timers/promises";
import { Canned } from "./canned.ts";
import type { CannedPages } from "./canned-server.ts";
import { type Command, ContestantProcess } from "./contestant-process.ts";
import { IDLE_INTERVAL_MS } from "./contestants.ts";
import { rounded } from "./measure.ts";

const SHARDS = 40;
/**
 * Phases in seconds: idle, polling until all code is compiled (which takes long at this pace), and
 * measured polling.
 */
const [IDLE, WARM_UP, MEASURED] = [1, 30, 5];

interface Polling {
  readonly pollsPerSecond: number;
  readonly cpuMicrosPerPoll: number;
}

/**
 * The cost of an empty poll at the default pace: 40 shards, four times a second each. The CPU of
 * the process without polls is subtracted. The pollers run one after another on one server.
 */
export async function measurePace(
  tls: CannedPages["tls"],
  commands: (canned: Canned) => Readonly<Record<string, Command>>,
): Promise<object> {
  const idle = { shards: SHARDS, pages: 0, records: 0, bytes: 0 };
  await using canned = await Canned.start({ ...idle, ...(tls && { tls }) });
  const pollers: Record<string, Polling> = {};
  for (const [name, command] of Object.entries(commands(canned))) {
    pollers[name] = await poll(command, canned);
    console.error(name, pollers[name]);
  }
  return { shards: SHARDS, intervalMs: IDLE_INTERVAL_MS, ...pollers };
}

async function poll(command: Command, canned: Canned): Promise<Polling> {
  await using poller = new ContestantProcess(command);
  const cpu = async (): Promise<number> => (await poller.ask("cost")).cpuMicros;
  await cpu();
  const idleMicros = await during(IDLE, cpu);
  await poller.ask("poll");
  await sleep(WARM_UP * 1000);
  const before = await canned.counts();
  const micros = await during(MEASURED, cpu);
  const polls = (await canned.counts()).polls - before.polls;
  return {
    pollsPerSecond: rounded(polls / MEASURED),
    cpuMicrosPerPoll: Math.round((micros - (idleMicros * MEASURED) / IDLE) / polls),
  };
}

/** The growth of a value during this time. */
async function during(seconds: number, value: () => Promise<number>): Promise<number> {
  const before = await value();
  await sleep(seconds * 1000);
  return (await value()) - before;
}

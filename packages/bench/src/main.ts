/** `npm run bench -- NAME`: progress on standard error, one JSON object as the last line. */
import { cpus } from "node:os";
import { benchAggregates } from "./aggregates/aggregates.ts";
import { benchCheckpoint } from "./checkpoint.ts";
import { benchConnections } from "./connections/connections.ts";
import { benchStores } from "./costs/costs.ts";
import { benchCounters } from "./counters.ts";
import { benchDelivery } from "./delivery.ts";
import { benchFlame } from "./flame/flame.ts";
import { benchGroup } from "./group.ts";
import { benchRead } from "./read/read.ts";
import { benchShards } from "./shards.ts";
import { benchTransactions } from "./transactions.ts";

const BENCHMARKS: Readonly<Record<string, (args: readonly string[]) => Promise<object>>> = {
  read: benchRead,
  aggregates: benchAggregates,
  connections: benchConnections,
  checkpoint: benchCheckpoint,
  group: benchGroup,
  counters: benchCounters,
  delivery: benchDelivery,
  flame: benchFlame,
  shards: benchShards,
  stores: benchStores,
  transactions: benchTransactions,
};

const [name = "", ...args] = process.argv.slice(2);
const benchmark = Object.hasOwn(BENCHMARKS, name) ? BENCHMARKS[name] : undefined;
if (benchmark === undefined) {
  console.error(`usage: npm run bench -- NAME, one of: ${Object.keys(BENCHMARKS).join(", ")}`);
  process.exitCode = 2;
} else {
  const machine = { node: process.version, cpu: cpus()[0]?.model.trim(), cores: cpus().length };
  console.log(JSON.stringify({ benchmark: name, machine, ...(await benchmark(args)) }));
}

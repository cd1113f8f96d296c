import { it } from "vitest";
import type { TransactionalStoreHarness } from "../harness.ts";
import { Machine } from "./machine.ts";
import type { Possible } from "./plan.ts";
import { runSeed } from "./run.ts";
import { fillStream } from "./stream.ts";

/** The maximum number of workers in a run. */
const MACHINES = 3;
/** The number of runs on one harness. */
const RUNS_A_HARNESS = 50;

export interface RandomRunsOptions {
  /** The number of runs. @default the environment variable RUNS, or 6 */
  readonly runs?: number;
  /**
   * The seed of the first run; the others increase by one. @default the environment variable SEED,
   * or 1
   */
  readonly seed?: number;
}

/**
 * Registers a test of random runs: consumers in one process read a stream with `scanTransaction`,
 * with leases or all shards each, while their connections break, and they fail, die, freeze and
 * lose their shards. Then the effects are counted. `makeHarness` is called again for each 50 runs.
 */
export function transactionalStoreRandomRuns<Tx>(
  name: string,
  makeHarness: () => Promise<TransactionalStoreHarness<Tx>>,
  { runs, seed }: RandomRunsOptions = {},
): void {
  const { RUNS = 6, SEED = 1 } = process.env;
  const count = runs ?? Number(RUNS);
  it(
    `${name}: whatever breaks, each record has its effect once`,
    // Only a protection against hangs: the duration depends on the server and the machine.
    { timeout: 240_000 + 10_000 * count },
    () =>
      randomRuns(
        makeHarness as () => Promise<TransactionalStoreHarness>,
        count,
        seed ?? Number(SEED),
      ),
  );
}

/**
 * Works under any test runner that can run vitest's `expect`. @throws AssertionError with the
 * events of the run that failed
 */
export async function randomRuns(
  makeHarness: () => Promise<TransactionalStoreHarness>,
  runs: number,
  seed: number,
): Promise<void> {
  const stream = await fillStream();
  for (let first = 0; first < runs; first += RUNS_A_HARNESS) {
    const harness = await makeHarness();
    const machines: Machine[] = [];
    try {
      while (machines.length < MACHINES) machines.push(await Machine.open(harness));
      const observer = await harness.open();
      const possible = possibleWith(harness, observer.capabilities.fences);
      const place = { harness, possible, stream, machines, observer };
      for (let run = first; run < Math.min(runs, first + RUNS_A_HARNESS); run += 1) {
        await runSeed(place, seed + run);
      }
    } finally {
      for (const machine of machines) await machine[Symbol.asyncDispose]();
      await harness[Symbol.asyncDispose]();
    }
  }
}

function possibleWith(harness: TransactionalStoreHarness, fences: boolean): Possible {
  const wire = (harness.servers ?? []).length > 0;
  const isInterruptible = harness.worksSynchronously !== true;
  return {
    leases: fences && harness.grantLease !== undefined,
    wire,
    endSessions: wire && harness.endSessions !== undefined,
    cutAtCommit: !wire && harness.cutAtCommit !== undefined,
    outage: !wire && isInterruptible && harness.breakConnection !== undefined,
  };
}

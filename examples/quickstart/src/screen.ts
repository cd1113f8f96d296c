import type { Handled } from "./journal.ts";
import { prove } from "./proof.ts";

const began = performance.now();

export function say(line: string): void {
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s  ${line}`);
}

/** `12,345` */
export function count(n: number): string {
  return Math.round(n).toLocaleString("en-US");
}

export function progressLine(progress: {
  readonly put: number;
  readonly handled: number;
  readonly perSecond: number;
  readonly lag: ReadonlyMap<string, number>;
  readonly positions: ReadonlyMap<string, string>;
}): string {
  const { put, handled, perSecond, lag, positions } = progress;
  const shards = [...lag].toSorted().map(([shardId, lagMs]) => {
    const position = positions.get(shardId)?.slice(-6);
    return `${Number(shardId.slice(-12))}: ${position ? `…${position}` : "start"} lag ${count(lagMs)} ms`;
  });
  return `${count(handled)} of ${count(put)} handled, ${count(perSecond)}/s | ${shards.join(" | ")}`;
}

/** Prints the result. Returns true if nothing was lost, reordered, or repeated without need. */
export function printProof(put: ReadonlySet<string>, handled: readonly Handled[]): boolean {
  const proof = prove(put, handled);
  const { missing, unknown, keys, keysOutOfOrder } = proof;
  const [afterStop, afterKill] = [proof.repeatsByRun.get(2) ?? 0, proof.repeatsByRun.get(3) ?? 0];
  const firstRun = proof.repeatsByRun.get(1) ?? 0;
  const checks: readonly (readonly [boolean, string])[] = [
    [
      missing === 0,
      `${count(proof.put)} records put, ${count(proof.distinct - unknown)} distinct records handled: ${count(missing)} lost`,
    ],
    [
      keysOutOfOrder === 0,
      `${count(keys)} partition keys, ${count(keysOutOfOrder)} out of order, across the reshard and both restarts`,
    ],
    [
      firstRun + afterStop === 0,
      `${count(firstRun + afterStop)} repeats before and after the clean stop`,
    ],
    [true, `${count(afterKill)} repeats after the kill -9: what followed its last checkpoint`],
  ];
  console.log();
  for (const [holds, sentence] of checks) console.log(`  ${holds ? "✓" : "✗"} ${sentence}`);
  if (unknown > 0) console.log(`    (${count(unknown)} more records were on the stream before)`);
  const holds = checks.every(([check]) => check);
  console.log(holds ? "\n  Nothing was lost.\n" : "\n  THE PROOF DOES NOT HOLD.\n");
  return holds;
}

import type { TargetName } from "./targets.ts";

/** Where a witness contradicts a scenario. */
export interface Divergence {
  /** Why this is the witness's fault, or nobody's. */
  readonly reason: string;
  /** What the scenario fails with there: another failure is not the known one. */
  readonly failsWith: RegExp;
}

/**
 * The scenarios that a server is known to fail. They run all the same and must fail as described:
 * when a witness starts to agree, its entry has to go. The emulator itself has none.
 */
export const knownDivergences: Partial<Record<TargetName, Readonly<Record<string, Divergence>>>> = {
  kinesalite: {},
  "kinesis-local": {},
};

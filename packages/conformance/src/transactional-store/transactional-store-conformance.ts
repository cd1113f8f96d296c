import { registerScenarios, type ConformanceOptions } from "../register.ts";
import { collectScenarios } from "../scenario.ts";
import type { TransactionalStoreHarness, TransactionalStoreScenario } from "./harness.ts";
import { afterScenarios } from "./scenarios/after.ts";
import { afterScanScenarios } from "./scenarios/after-scan.ts";
import { breakingScenarios } from "./scenarios/breaking.ts";
import { committingScenarios } from "./scenarios/committing.ts";
import { conflictScenarios } from "./scenarios/conflicts.ts";
import { fenceScenarios } from "./scenarios/fences.ts";
import { fromScenarios } from "./scenarios/from.ts";
import { insideTransactionScenarios } from "./scenarios/inside.ts";
import { messageScenarios } from "./scenarios/messages.ts";
import { misuseScenarios } from "./scenarios/misuse.ts";
import { overlapScenarios } from "./scenarios/overlap.ts";
import { ownTransactionScenarios } from "./scenarios/own-transactions.ts";
import { turnScenarios } from "./scenarios/turns.ts";

/** All scenarios of a TransactionalStore's transactions; those of the harness are first. */
export const TRANSACTIONAL_STORE_SCENARIOS: readonly TransactionalStoreScenario[] =
  collectScenarios(
    committingScenarios,
    afterScanScenarios,
    fromScenarios,
    afterScenarios,
    insideTransactionScenarios,
    fenceScenarios,
    overlapScenarios,
    breakingScenarios,
    messageScenarios,
    conflictScenarios,
    misuseScenarios,
    turnScenarios,
    ownTransactionScenarios,
  );

/**
 * Registers the suite for a TransactionalStore, in addition to `storeConformance`. `makeHarness` is
 * called again for each scenario.
 * @throws Error if `knownGaps` has a key that names no scenario, or an empty reason.
 */
export function transactionalStoreConformance<Tx>(
  name: string,
  makeHarness: () => Promise<TransactionalStoreHarness<Tx>>,
  options?: ConformanceOptions,
): void {
  // The suite passes to `apply` only what `transact` has passed to the work.
  const make = makeHarness as () => Promise<TransactionalStoreHarness>;
  registerScenarios(name, TRANSACTIONAL_STORE_SCENARIOS, make, options);
}

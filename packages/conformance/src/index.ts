export { storeConformance, STORE_SCENARIOS } from "./store/store-conformance.ts";
export type { BorrowingStore, NumberReader, StoreHarness, StoreScenario } from "./store/harness.ts";
export {
  leaseStoreConformance,
  LEASE_STORE_SCENARIOS,
} from "./lease-store/lease-store-conformance.ts";
export { leaseStoreRound } from "./lease-store/round.ts";
export type { LeaseStoreHarness, LeaseStoreScenario } from "./lease-store/harness.ts";
export {
  transactionalStoreConformance,
  TRANSACTIONAL_STORE_SCENARIOS,
} from "./transactional-store/transactional-store-conformance.ts";
export {
  transactionalStoreRandomRuns,
  type RandomRunsOptions,
} from "./transactional-store/runs/random-runs.ts";
export type {
  EffectsShard,
  OwnTransaction,
  TransactionalStoreHarness,
  TransactionalStoreScenario,
} from "./transactional-store/harness.ts";
export {
  frozenClientConformance,
  FROZEN_CLIENT_SCENARIOS,
} from "./frozen-client/frozen-client-conformance.ts";
export type { FrozenClientHarness, FrozenClientScenario } from "./frozen-client/harness.ts";
export type { ServerAddress } from "./wire.ts";
export {
  deadLetterConformance,
  DEAD_LETTER_SCENARIOS,
} from "./dead-letters/dead-letter-conformance.ts";
export { allLetters, letterAt, send as sendLetters } from "./dead-letters/fixtures.ts";
export type { DeadLetterHarness, DeadLetterScenario } from "./dead-letters/harness.ts";
export { counterConformance } from "./counter/counter-conformance.ts";
export { COUNTER_SCENARIOS } from "./counter/scenarios.ts";
export type {
  CounterHarness,
  CounterScenario,
  HistogramBucket,
  HistogramReading,
} from "./counter/harness.ts";
export type { ConformanceOptions } from "./register.ts";
export { runScenario, type KnownGaps, type Scenario, type ScenarioContext } from "./scenario.ts";

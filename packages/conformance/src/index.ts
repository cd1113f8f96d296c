export { storeConformance, STORE_SCENARIOS } from "./store/store-conformance.ts";
export type { BorrowingStore, StoreHarness, StoreScenario } from "./store/harness.ts";
export type { ConformanceOptions } from "./register.ts";
export { runScenario, type KnownGaps, type Scenario, type ScenarioContext } from "./scenario.ts";

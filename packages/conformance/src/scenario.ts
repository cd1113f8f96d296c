/**
 * One requirement of a contract, as data: adapters refer to it by its key, and a runner runs it.
 */
export interface Scenario<Harness> {
  /** Stable, `theme.promise`: adapters in other repositories list it in `knownGaps`. */
  readonly key: string;
  /** What a passing adapter guarantees, in one sentence. */
  readonly title: string;
  run(context: ScenarioContext<Harness>): Promise<void>;
}

export interface ScenarioContext<Harness> {
  /** Created only for this scenario. */
  readonly harness: Harness;
  /**
   * Creates another harness, isolated from the first. It is also disposed of at the scenario's end.
   */
  readonly make: () => Promise<Harness>;
}

/** The reasons why an adapter fails scenarios, by scenario key. */
export type KnownGaps = Readonly<Record<string, string>>;

/**
 * Runs one scenario on its own harnesses and disposes of them. Rejects with the scenario's error;
 * if disposing fails too, with an AggregateError of both. Works under any test runner that can run
 * vitest's `expect`.
 */
export async function runScenario<Harness extends AsyncDisposable>(
  scenario: Scenario<Harness>,
  makeHarness: () => Promise<Harness>,
): Promise<void> {
  const made: Harness[] = [];
  const make = async (): Promise<Harness> => {
    const harness = await makeHarness();
    made.push(harness);
    return harness;
  };
  const failures: unknown[] = [];
  try {
    await scenario.run({ harness: await make(), make });
  } catch (error) {
    failures.push(error);
  }
  for (const harness of made) {
    try {
      await harness[Symbol.asyncDispose]();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 1) {
    throw new AggregateError(failures, `${scenario.key} failed, and so did its clean-up`);
  }
  if (failures.length === 1) throw failures[0];
}

/**
 * Runs a scenario that is a known gap: it must fail. @throws Error if it passes, so that a closed
 * gap is removed from the list.
 */
export async function runKnownGap<Harness extends AsyncDisposable>(
  scenario: Scenario<Harness>,
  makeHarness: () => Promise<Harness>,
): Promise<void> {
  const passed = await runScenario(scenario, makeHarness).then(
    () => true,
    () => false,
  );
  if (passed) {
    throw new Error(`the gap "${scenario.key}" is closed: take it out of knownGaps`);
  }
}

/** @throws Error if a gap's key is unknown (stale) or its reason is empty. */
export function checkKnownGaps(
  scenarios: readonly { readonly key: string }[],
  knownGaps: KnownGaps,
): void {
  const keys = new Set(scenarios.map(({ key }) => key));
  for (const [key, reason] of Object.entries(knownGaps)) {
    if (!keys.has(key)) throw new Error(`knownGaps: there is no scenario "${key}"`);
    if (reason.trim() === "") throw new Error(`knownGaps: "${key}" needs a reason`);
  }
}

/** The scenarios of several themes in one list. @throws Error if two share a key. */
export function collectScenarios<Harness>(
  ...themes: readonly (readonly Scenario<Harness>[])[]
): readonly Scenario<Harness>[] {
  const scenarios = themes.flat();
  const keys = new Set<string>();
  for (const { key } of scenarios) {
    if (keys.has(key)) throw new Error(`two scenarios have the key "${key}"`);
    keys.add(key);
  }
  return scenarios;
}

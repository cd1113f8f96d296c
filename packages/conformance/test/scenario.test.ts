import { describe, expect, it } from "vitest";
import {
  checkKnownGaps,
  collectScenarios,
  runKnownGap,
  runScenario,
  type Scenario,
} from "../src/scenario.ts";

class CountedHarness implements AsyncDisposable {
  static disposed = 0;

  async [Symbol.asyncDispose](): Promise<void> {
    CountedHarness.disposed++;
  }
}

const scenario = (run: Scenario<AsyncDisposable>["run"]): Scenario<AsyncDisposable> => ({
  key: "theme.promise",
  title: "a promise",
  run,
});
const makeHarness = async (): Promise<CountedHarness> => new CountedHarness();
const keeps = scenario(async () => {});
const breaks = scenario(async () => {
  throw new Error("broken promise");
});

describe("runScenario", () => {
  it("disposes of every harness that was made, of a failed scenario too", async () => {
    CountedHarness.disposed = 0;
    const makesTwo = scenario(async ({ make }) => {
      await make();
      throw new Error("broken promise");
    });
    await expect(runScenario(makesTwo, makeHarness)).rejects.toThrow("broken promise");
    expect(CountedHarness.disposed).toBe(2);
  });

  it("fails if the clean-up fails", async () => {
    const leaky: AsyncDisposable = {
      [Symbol.asyncDispose]: async () => {
        throw new Error("leak");
      },
    };
    await expect(runScenario(keeps, async () => leaky)).rejects.toThrow("leak");
  });

  it("reports a failure and a failed clean-up together", async () => {
    const leaky: AsyncDisposable = {
      [Symbol.asyncDispose]: async () => {
        throw new Error("leak");
      },
    };
    const error = await runScenario(breaks, async () => leaky).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AggregateError);
    expect(error).toMatchObject({
      errors: [{ message: "broken promise" }, { message: "leak" }],
    });
  });
});

describe("known gaps", () => {
  it("pass while the scenario fails", async () => {
    await expect(runKnownGap(breaks, makeHarness)).resolves.toBeUndefined();
  });

  it("fail once the gap is closed", async () => {
    await expect(runKnownGap(keeps, makeHarness)).rejects.toThrow(
      'the gap "theme.promise" is closed: take it out of knownGaps',
    );
  });

  it("are refused if they name no scenario", () => {
    expect(() => checkKnownGaps([keeps], { "theme.gone": "a reason" })).toThrow(
      'there is no scenario "theme.gone"',
    );
  });

  it("are refused without a reason", () => {
    expect(() => checkKnownGaps([keeps], { "theme.promise": " " })).toThrow("needs a reason");
  });

  it("are accepted with one", () => {
    expect(() => checkKnownGaps([keeps], { "theme.promise": "a reason" })).not.toThrow();
  });
});

describe("collectScenarios", () => {
  it("refuses two scenarios with one key", () => {
    expect(() => collectScenarios([keeps], [breaks])).toThrow("theme.promise");
  });
});

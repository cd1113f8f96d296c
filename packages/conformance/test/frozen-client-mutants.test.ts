import { compareCheckpoints, type CheckpointWrite } from "@kc/core";
import { describe, expect, it } from "vitest";
import { FROZEN_CLIENT_SCENARIOS, frozenClientConformance, runScenario } from "../src/index.ts";
import { at } from "../src/store/fixtures.ts";
import { networkedHarness, oneMessage, type Protocol } from "./support/networked-store.ts";

frozenClientConformance("a store over a network", () => networkedHarness());

/** A transaction of three messages: a client that stops within it keeps the lock. */
const locking =
  (operation: string, isMeant: (values: readonly unknown[]) => boolean = () => true): Protocol =>
  (call, values) =>
    call === operation && isMeant(values)
      ? [{ lock: true }, { call, values }, { lock: false }]
      : oneMessage(call, values);

/** Writes move forward, and do not compare the fence. */
const unfenced: Protocol = (call, values) =>
  call === "setCheckpoints" ? [{ call: "unfenced", values }] : oneMessage(call, values);

const isForced = (values: readonly unknown[]): boolean =>
  (values.at(-1) as { force?: boolean } | undefined)?.force === true;

/** What the worker has written before it stands still. */
const isRepeated = (values: readonly unknown[]): boolean => {
  const [write] = values[1] as readonly CheckpointWrite[];
  return compareCheckpoints(write!.checkpoint, at(1)) === 0;
};

const MUTANTS: readonly (readonly [name: string, caughtBy: string, protocol: Protocol])[] = [
  ...FROZEN_CLIENT_SCENARIOS.map(({ key }) => key.replace("frozen.", ""))
    .filter((operation) => operation !== "forced-reset" && operation !== "repeated-flush")
    .map(
      (operation) =>
        [
          `keeps a transaction open between two messages of ${operation}`,
          `frozen.${operation}`,
          locking(operation, (values) => !isForced(values)),
        ] as const,
    ),
  [
    "keeps a transaction open between two messages of a forced reset",
    "frozen.forced-reset",
    locking("resetCheckpoint", isForced),
  ],
  [
    "keeps a transaction open between two messages of a flush that moves nothing",
    "frozen.repeated-flush",
    locking("setCheckpoints", isRepeated),
  ],
  ["writes whatever its fence", "frozen.setCheckpoints", unfenced],
];

describe("mutants with frozen clients", () => {
  it.each(MUTANTS)("a store that %s fails in %s", async (_, key, protocol) => {
    const scenario = FROZEN_CLIENT_SCENARIOS.find((candidate) => candidate.key === key);
    const run = runScenario(scenario!, () => networkedHarness(protocol));
    // A failed expectation: a mutant that merely crashes proves nothing about the scenario.
    await expect(run).rejects.toMatchObject({ name: "AssertionError" });
  });
});

import { StoreError, type TransactionResult } from "@kc/core";
import { describe, expect, it } from "vitest";
import { runScenario, TRANSACTIONAL_STORE_SCENARIOS } from "../src/index.ts";
import { messageScenarios } from "../src/transactional-store/scenarios/messages.ts";
import {
  NetworkedTransactions,
  networkedTransactionsHarness,
} from "./support/networked-transactions.ts";

const scenarioOf = (key: string) =>
  TRANSACTIONAL_STORE_SCENARIOS.find((candidate) => candidate.key === key)!;

describe("a store over a network", () => {
  it.each(messageScenarios.map(({ key }) => key))("passes %s", (key) =>
    runScenario(scenarioOf(key), () => networkedTransactionsHarness()),
  );
});

class Guessing extends NetworkedTransactions {
  override async commit(): Promise<void> {
    await super.commit().catch(() => undefined);
  }
}

class Wrapping extends NetworkedTransactions {
  override async transact<Value>(
    ...call: Parameters<NetworkedTransactions["transact"]>
  ): Promise<TransactionResult<Value>> {
    try {
      return (await super.transact(...call)) as TransactionResult<Value>;
    } catch (cause) {
      throw new StoreError("STORE_UNAVAILABLE", "it has failed", { retryable: true, cause });
    }
  }
}

const MUTANTS: readonly (readonly [
  name: string,
  caughtBy: string,
  make: () => ReturnType<typeof networkedTransactionsHarness>,
])[] = [
  [
    "takes a commit that was not answered for a success",
    "message.cut",
    () => networkedTransactionsHarness(Guessing),
  ],
  [
    "answers an abort with an error of its own",
    "message.abort",
    () => networkedTransactionsHarness(Wrapping),
  ],
  [
    "lets a transaction wait for its client for ever",
    "message.still",
    () => networkedTransactionsHarness(NetworkedTransactions, 60_000),
  ],
];

describe("mutants over a network", () => {
  it.each(MUTANTS)("a store that %s fails in %s", async (_, key, make) => {
    await expect(runScenario(scenarioOf(key), make)).rejects.toMatchObject({
      name: "AssertionError",
    });
  });

  it("leave no scenario of messages without a mutant", () => {
    expect(MUTANTS.map(([, key]) => key)).toStrictEqual(messageScenarios.map(({ key }) => key));
  });
});

import { expect } from "vitest";
import { at, applicationRow, SCOPE, SHARD } from "../fixtures.ts";
import type { StoreScenario } from "../harness.ts";

/**
 * The harness is tested first: with a harness that leaks or loses data, the suite proves nothing.
 */
export const harnessScenarios: readonly StoreScenario[] = [
  {
    key: "harness.isolated",
    title: "two harnesses share nothing",
    async run({ harness, make }) {
      const [one, other] = [await harness.open(), await (await make()).open()];
      await one.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(1) });
      await one.openApplication(SCOPE, applicationRow());
      expect(await other.getCheckpoint(SCOPE, SHARD), "seen by another harness").toBeUndefined();
      const { outcome } = await other.openApplication(SCOPE, applicationRow());
      expect(outcome, "the row of another harness").toBe("created");
    },
  },
  {
    key: "harness.shared",
    title: "two handles of one harness see each other's writes, and are two stores",
    async run({ harness }) {
      const [one, other] = [await harness.open(), await harness.open()];
      expect(one === other, "open() must make a new store each time").toBe(false);
      await one.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(1) });
      expect(await other.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(1));
      await other.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(2) });
      expect(await one.getCheckpoint(SCOPE, SHARD)).toStrictEqual(at(2));
    },
  },
];

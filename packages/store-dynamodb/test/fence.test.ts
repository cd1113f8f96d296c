import { LeaseLostError, type CheckpointWrite } from "@kc/core";
import { describe, expect, it } from "vitest";
import { applicationRow, at, namespace, number, openTable, scope } from "./support/fixture.ts";

const ROUNDS = 1000;
/** So many shards race at once. */
const LANES = 10;

const shard = (lane: number): string => `shardId-00000000000${lane}`;

describe("a claim that races with a write", () => {
  it.each(["fenced", "unfenced"] as const)(
    "decides it: once the claim is made, no %s write of before lands",
    { timeout: 120_000 },
    async (kind) => {
      const { table, store } = await openTable();
      await store.openApplication(scope, applicationRow());
      const outcomes = { written: 0, lost: 0 };

      const race = async (lane: number, round: number): Promise<void> => {
        const shardId = shard(lane);
        // Every third round after Go has wiped the shard's item, which holds a copy of the lease.
        if (round % 3 === 0) {
          await table.put(namespace, shardId, { sequence_number: { S: number(3 * round) } });
        }
        const held = { epoch: 2 * round, owner: `a#${round}` };
        const write: CheckpointWrite =
          kind === "fenced"
            ? { shardId, checkpoint: at(3 * round + 1), fence: held }
            : { shardId, checkpoint: at(3 * round + 1) };
        const zombie = store.setCheckpoint(scope, write).then(
          () => void (outcomes.written += 1),
          (error: unknown) => {
            if (!(error instanceof LeaseLostError)) throw error;
            outcomes.lost += 1;
          },
        );
        // Half of them a moment later, so that both orders come about.
        if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
        await table.claim(namespace, shardId, { epoch: 2 * round + 1, owner: `b#${round}` });
        const claimed = await store.getCheckpoint(scope, shardId);
        await zombie;
        const after = await store.getCheckpoint(scope, shardId);
        expect(after, `round ${round}: moved after the claim`).toStrictEqual(claimed);
        // For the next round: to the next zombie, or to nobody.
        if (kind === "fenced") {
          await table.claim(namespace, shardId, { epoch: 2 * round + 2, owner: `a#${round + 1}` });
        } else await store.resetCheckpoint(scope, shardId, at(3 * round + 2), { force: true });
      };

      const lane = async (index: number): Promise<void> => {
        if (kind === "fenced") {
          await table.claim(namespace, shard(index), { epoch: 2, owner: "a#1" });
        }
        for (let round = 1; round <= ROUNDS / LANES; round += 1) await race(index, round);
      };
      await Promise.all(Array.from({ length: LANES }, (_, index) => lane(index)));
      expect(outcomes.written + outcomes.lost).toBe(ROUNDS);
      // Both orders came about: otherwise it was no race.
      expect(Math.min(outcomes.written, outcomes.lost), JSON.stringify(outcomes)).toBeGreaterThan(
        5,
      );
    },
  );
});

describe("a claim that races with Go's PutItem", () => {
  it("leaves the shard to its owner, in either order", async () => {
    const { table, store } = await openTable();
    await store.openApplication(scope, applicationRow());
    const [mine, others] = [
      { epoch: 5, owner: "a#1" },
      { epoch: 4, owner: "b#1" },
    ];
    for (let n = 0; n < 20; n += 1) {
      const shardId = `shardId-1000000000${10 + n}`;
      const put = (): Promise<void> =>
        table.put(namespace, shardId, { sequence_number: { S: number(1) } });
      const claim = (): Promise<void> => table.claim(namespace, shardId, mine);
      for (const step of n % 2 === 0 ? [put, claim] : [claim, put]) await step();
      for (const fence of [undefined, others]) {
        const write = { shardId, checkpoint: at(2), ...(fence && { fence }) };
        await expect(store.setCheckpoint(scope, write)).rejects.toBeInstanceOf(LeaseLostError);
      }
      const answer = await store.setCheckpoint(scope, { shardId, checkpoint: at(2), fence: mine });
      expect(answer.outcome).toBe("written");
    }
  });
});

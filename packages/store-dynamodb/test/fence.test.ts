import { LeaseLostError, type Fence } from "@kc/core";
import { describe, expect, it } from "vitest";
import { DynamoDBStore } from "../src/index.ts";
import { applicationRow, at, namespace, number, openTable, scope } from "./support/fixture.ts";
import { SpyClient } from "./support/spy.ts";

/** Of each kind. */
const ROUNDS = 60;
/** So many shards race at once. */
const LANES = 10;

const fenceOf = (owner: string, epoch: number): Fence => ({ owner: `${owner}#${epoch}`, epoch });

describe("a claim that comes before any one request of a write", () => {
  it.each([
    ["fenced", "of the shard as it stands"],
    ["fenced", "after Go has wiped the shard's item"],
    ["unfenced", "of the shard as it stands"],
    ["unfenced", "after Go has wiped the shard's item"],
  ] as const)("fences it out: a %s one %s", async (kind, state) => {
    const { table } = await openTable();
    const spy = new SpyClient(table.client);
    const store = new DynamoDBStore({ client: spy, table: table.name });
    await store.openApplication(scope, applicationRow());
    const [before, after] = [fenceOf("a", 1), fenceOf("b", 2)];
    let claims = 0;
    for (let due = 0; due === claims; due += 1) {
      const shardId = `shardId-${due}`;
      if (kind === "fenced") await table.claim(namespace, shardId, before);
      const first = { shardId, checkpoint: at(1), ...(kind === "fenced" && { fence: before }) };
      await store.setCheckpoint(scope, first);
      if (state !== "of the shard as it stands") {
        await table.put(namespace, shardId, { sequence_number: { S: number(1) } });
      }
      let requests = 0;
      spy.before = async () => {
        if (requests++ !== due) return;
        await table.claim(namespace, shardId, after);
        claims += 1;
      };
      const late = store.setCheckpoint(scope, { ...first, checkpoint: at(2) });
      const outcome = await late.catch((error: unknown) => error);
      spy.before = () => undefined;
      if (due === claims) expect(outcome).toMatchObject({ outcome: "written" });
      else expect(outcome).toBeInstanceOf(LeaseLostError);
      const stands = at(due === claims ? 2 : 1);
      expect(await store.getCheckpoint(scope, shardId)).toStrictEqual(stands);
    }
    // Where the copy of the lease is gone, a refused write is followed by a transaction.
    expect(claims).toBe(state === "of the shard as it stands" ? 1 : 2);
  });
});

describe("a claim that races with a write", () => {
  it.each(["fenced", "unfenced"] as const)(
    "decides it: once the claim is made, no %s write of before lands",
    async (kind) => {
      const { table, store } = await openTable();
      await store.openApplication(scope, applicationRow());
      const outcomes = { written: 0, lost: 0 };

      const race = async (shardId: string, round: number): Promise<void> => {
        const [before, after] = [fenceOf("a", 2 * round), fenceOf("b", 2 * round + 1)];
        if (kind === "fenced") await table.claim(namespace, shardId, before);
        else await store.resetCheckpoint(scope, shardId, at(2 * round), { force: true });
        // Every other time Go has wiped the shard's item, which holds a copy of the lease.
        const wiped = round % 2 === 0;
        if (wiped)
          await table.put(namespace, shardId, { sequence_number: { S: number(2 * round) } });

        // One lane does not race: both orders come about on any machine.
        const order = shardId.endsWith("0") ? (wiped ? "claim first" : "write first") : "race";
        if (order === "claim first") await table.claim(namespace, shardId, after);
        const zombie = store
          .setCheckpoint(scope, {
            shardId,
            checkpoint: at(2 * round + 1),
            ...(kind === "fenced" && { fence: before }),
          })
          .then(
            () => void (outcomes.written += 1),
            (error: unknown) => {
              if (!(error instanceof LeaseLostError)) throw error;
              outcomes.lost += 1;
            },
          );
        if (order === "write first") await zombie;
        // Then that write takes a round trip more; else a head start lets it come first.
        if (wiped || round % 4 === 1) await table.get(namespace, shardId);
        if (order !== "claim first") await table.claim(namespace, shardId, after);
        const claimed = await store.getCheckpoint(scope, shardId);
        await zombie;
        const later = await store.getCheckpoint(scope, shardId);
        expect(later, `round ${round}: moved after the claim`).toStrictEqual(claimed);
        const next = { shardId, checkpoint: at(2 * round + 2), fence: after };
        expect((await store.setCheckpoint(scope, next)).outcome).toBe("written");
      };

      const lane = async (_: unknown, index: number): Promise<void> => {
        const shardId = `shardId-00000000000${index}`;
        for (let round = 1; round <= ROUNDS / LANES; round += 1) await race(shardId, round);
      };
      await Promise.all(Array.from({ length: LANES }, lane));
      expect(outcomes.written + outcomes.lost).toBe(ROUNDS);
      expect(Math.min(outcomes.written, outcomes.lost), JSON.stringify(outcomes)).toBeGreaterThan(
        0,
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

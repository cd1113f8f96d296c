import { expect } from "vitest";
import { rejection } from "../../expectations.ts";
import { applicationRow, at, SCOPE, SHARD } from "../fixtures.ts";
import type { StoreScenario } from "../harness.ts";
import { OPERATION_NAMES, OPERATIONS } from "../operations.ts";

export const abortScenarios: readonly StoreScenario[] = OPERATION_NAMES.map((name) => ({
  key: `abort.${name}`,
  title: `${name} with an aborted signal rejects with its reason and changes nothing`,
  async run({ harness }) {
    const store = await harness.open();
    await store.setCheckpoint(SCOPE, { shardId: SHARD, checkpoint: at(10) });
    const reason = new Error("the caller's own reason");
    const call = OPERATIONS[name](store, { signal: AbortSignal.abort(reason) });
    const error = await rejection(call, `${name} with an aborted signal`);
    expect(error, `${name} must reject with signal.reason itself`).toBe(reason);
    expect(await store.getCheckpoints(SCOPE)).toStrictEqual(new Map([[SHARD, at(10)]]));
    const { outcome } = await store.openApplication(SCOPE, applicationRow());
    expect(outcome, "no application row was written").toBe("created");
  },
}));

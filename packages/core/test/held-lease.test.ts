import { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { Stopwatch } from "../src/clock.ts";
import { HeldLease } from "../src/groups/leases/held-lease.ts";
import { HeldLeases, type HeldLeasesOptions } from "../src/groups/leases/held-leases.ts";
import { LeaseReporter } from "../src/groups/leases/lease-reporter.ts";
import { LeaseLostError, type ShardOutcome } from "../src/index.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";
import { gate } from "./support/calls.ts";

const ACQUIRED = { shardId: "s", fence: { epoch: 1, owner: "w#1" }, checkpoint: undefined };
const RELEASED: ShardOutcome = { kind: "released", checkpoint: undefined };
const GRANT = { presentAtStart: true, afterParent: false, hashKeyRange: () => undefined };

const STEPS = {
  handOver: (lease: HeldLease) => lease.handOver(1000),
  lose: (lease: HeldLease) => lease.lose("evicted"),
  settle: (lease: HeldLease) => lease.settle(RELEASED, 7),
  settleAgain: (lease: HeldLease) => lease.settle({ kind: "stopped" }, 8),
} as const;

function after(...steps: readonly (keyof typeof STEPS)[]): HeldLease {
  const lease = new HeldLease(ACQUIRED, "new", new Stopwatch(new FakeClock()));
  for (const step of steps) STEPS[step](lease);
  return lease;
}

test("a lease's life has no way back, and what comes too late is ignored", () => {
  const settled = { kind: "settled", outcome: RELEASED, at: 7 };
  expect(after().state).toEqual({ kind: "reading" });
  expect(after("handOver").state).toEqual({ kind: "handing-over" });
  expect(after("lose").state).toEqual({ kind: "lost" });
  expect(after("handOver", "lose").state, "lost while it is handed over").toEqual({ kind: "lost" });
  expect(after("lose", "handOver").state, "nobody hands over what is lost").toEqual({
    kind: "lost",
  });
  for (const before of [[], ["handOver"], ["lose"], ["handOver", "lose"]] as const) {
    expect(after(...before, "settle").state).toEqual(settled);
  }
  expect(after("settle", "handOver", "lose", "settleAgain").state).toEqual(settled);
});

test("its reader gets each order once: first in peace, then at once", () => {
  const { handOff, lost } = after("handOver", "handOver", "lose", "lose").signals;
  expect(handOff!.reason).toEqual({ kind: "hand-off", deadlineMs: 1000 });
  expect(lost!.reason).toBeInstanceOf(LeaseLostError);
  expect(after("lose", "handOver").signals.handOff!.aborted).toBe(false);
  expect(after("settle", "lose").signals.lost!.aborted).toBe(false);
});

function held(read: HeldLeasesOptions["read"]) {
  const clock = new FakeClock();
  const telemetry = new Telemetry({}, { stream: "orders", application: "billing" }, clock);
  let wakeUps = 0;
  const leases = new HeldLeases({
    clock,
    read,
    reporter: new LeaseReporter(telemetry),
    onSettled: () => void (wakeUps += 1),
  });
  return { leases, clock, wakeUps: () => wakeUps };
}

test("a lease stays in hand from its grant until it is given back, however its reading ends", async () => {
  const reading = gate();
  const { leases, clock, wakeUps } = held(() => reading.opened.then(() => RELEASED));
  leases.grant(ACQUIRED, GRANT, "new");
  await clock.settle();
  expect([leases.has("s"), leases.areSettled]).toEqual([true, false]);
  reading.open();
  await clock.settle();
  expect([leases.has("s"), leases.areSettled, wakeUps()]).toEqual([true, true, 1]);
  leases.end(leases.settled(), "released");
  expect([leases.has("s"), leases.size]).toEqual([false, 0]);
});

test("a shard whose end is in the store is settled without being read", async () => {
  const { leases, clock } = held(() => Promise.reject(new Error("nobody reads it")));
  leases.grant({ ...ACQUIRED, checkpoint: { kind: "shard-end" } }, GRANT, "new");
  await clock.settle();
  expect(leases.settled().map(({ state }) => state.outcome)).toEqual([
    { kind: "ended", children: [] },
  ]);
});

test("a row that names another owner or epoch loses the lease in hand, and no settled one", async () => {
  const { leases, clock } = held(({ lost }) =>
    lost!.aborted
      ? Promise.resolve(RELEASED)
      : new Promise((resolve) =>
          lost!.addEventListener("abort", () => resolve({ kind: "lost", detail: "" })),
        ),
  );
  leases.grant(ACQUIRED, GRANT, "new");
  leases.checkRows(new Map([["s", { owner: "w#1", epoch: 1 } as never]]));
  expect(leases.get("s")!.state.kind).toBe("reading");
  leases.checkRows(new Map([["s", { owner: "w#1", epoch: 2 } as never]]));
  expect(leases.get("s")!.state.kind).toBe("lost");
  await clock.settle();
  leases.checkRows(new Map());
  expect(leases.get("s")!.state).toMatchObject({ outcome: { kind: "lost" } });
});

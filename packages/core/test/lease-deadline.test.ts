import { expect, test } from "vitest";
import { LeaseLostError, type Handler, type HandlerContext } from "../src/index.ts";
import { sleep } from "../src/clock.ts";
import type { DeliveryOptions } from "../src/options/delivery-options.ts";
import { gate } from "./support/calls.ts";
import { RecordingStore } from "./support/recording-store.ts";
import { ScriptedGroup, type Grant } from "./support/scripted-group.ts";
import { World, type Run } from "./support/world.ts";

const SHARD = "shardId-000000000000";

interface Leased {
  readonly world: World;
  readonly store: RecordingStore;
  readonly run: Run;
  readonly grant: Grant;
  /** When each record was begun, in milliseconds after the grant. */
  readonly begun: number[];
  /** The lease ends so many milliseconds from now. */
  readonly renew: (ms: number) => void;
}

/** A shard under a lease, with 20 records in one page. */
async function leased(
  handler: (world: World) => Handler,
  delivery: DeliveryOptions = {},
): Promise<Leased> {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const group = new ScriptedGroup(store.data);
  await world.put("a", ...Array.from({ length: 20 }, (_, index) => String(index)));
  const begun: number[] = [];
  const inner = handler(world);
  const counted: Handler = (record, context) => {
    begun.push(world.clock.monotonic() - since);
    return inner(record, context);
  };
  const run = await world.start({ store, group, start: "TRIM_HORIZON" }, counted, delivery);
  const since = world.clock.monotonic();
  const grant = group.grant(SHARD);
  const renew = (ms: number): void => void (grant.endsAt = world.clock.monotonic() + ms);
  renew(9000);
  return { world, store, run, grant, begun, renew };
}

test("an async handler that turns slow begins no record past the lease", async () => {
  const { world, begun } = await leased((clock) => async (record) => {
    if (Number(record.text()) >= 3) await sleep(clock.clock, 5000);
  });
  await world.clock.advance(60_000);
  expect(begun).toEqual([0, 0, 0, 0, 5000]);
});

test("however many records are handled at once, none begins once the process has stood still until its lease's end", async () => {
  let count = 0;
  const { world, begun, grant } = await leased(
    (slow) => async () => {
      count += 1;
      if (count === 12) grant.endsAt = slow.clock.monotonic();
      await sleep(slow.clock, 60_000);
    },
    { concurrency: 20, ordering: "none" },
  );
  await world.clock.advance(1000);
  expect(begun.length).toBe(12);
});

test("a handler that finishes each record in time is not stuck, however long the page takes", async () => {
  const { world, run, renew } = await leased((slow) => async (record) => {
    if (Number(record.text()) >= 3) await sleep(slow.clock, 4500);
  });
  renew(Infinity);
  for (let i = 0; i < 60; i += 1) {
    await world.clock.advance(1000);
    expect(run.consumer.status().shards[0]!.handlingForMs).toBeLessThan(4500);
    expect(run.consumer.health({ stuckAfterMs: 5000 }).alive).toBe(true);
  }
});

test("the running handler's signal aborts when its lease ends; what it rejects with is no failure", async () => {
  const seen: AbortSignal[] = [];
  const { world, run, begun, renew, grant } = await leased(() => async (_record, { signal }) => {
    seen.push(signal);
    if (seen.length > 1) return;
    await new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(new Error("cancelled")));
    });
  });
  await world.clock.advance(8999);
  expect(seen.map(({ aborted }) => aborted)).toEqual([false]);
  await world.clock.advance(1);
  expect(seen[0]!.reason).toBeInstanceOf(LeaseLostError);
  expect(seen[0]!.reason).toMatchObject({ shardId: SHARD });
  await world.clock.advance(30_000);
  expect(run.settled).toBeUndefined();
  expect(begun).toHaveLength(1);

  renew(9000);
  await world.clock.advance(1000);
  // The record came again, with a signal of its own, and nothing was left out.
  expect(run.texts).toEqual(["0", ...Array.from({ length: 20 }, (_, index) => String(index))]);
  expect(grant.outcome).toBeUndefined();
});

test("a record whose handler ended with its lease is not begun again once the shard is another's", async () => {
  const { world, run, grant, store } = await leased(() => (record, { signal }) => {
    if (record.text() === "0") return undefined;
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error));
    });
  });
  await world.clock.advance(10_000);
  grant.lose();
  await world.clock.advance(60_000);
  expect(grant.outcome).toMatchObject({ kind: "lost" });
  expect(run.texts).toEqual(["0", "1"]);
  expect(store.bulkWrites).toHaveLength(1);
  expect(run.settled).toBeUndefined();
});

test("a handler that ignores the end of its lease is finished work when it returns", async () => {
  const { world, run, renew } = await leased((slow) => async (record, { signal }) => {
    if (record.text() === "0") await sleep(slow.clock, 20_000);
    return signal.aborted;
  });
  await world.clock.advance(10_000);
  renew(60_000);
  await world.clock.advance(20_000);
  expect(run.texts).toEqual(Array.from({ length: 20 }, (_, index) => String(index)));
});

test("heartbeats move the end of a signal that was asked for before them", async () => {
  const seen: AbortSignal[] = [];
  const { world, renew } = await leased((slow) => async (_record, { signal }) => {
    seen.push(signal);
    await sleep(slow.clock, 60_000);
  });
  for (let i = 0; i < 25; i += 1) {
    await world.clock.advance(1000);
    renew(9000);
  }
  expect(seen[0]!.aborted).toBe(false);
  await world.clock.advance(9000);
  expect(seen[0]!.aborted).toBe(true);
});

test("each record has a signal of its own, which is there in a copy of the context too", async () => {
  const world = await World.of();
  const contexts: HandlerContext[] = [];
  const signals: AbortSignal[] = [];
  await world.put("a", "1", "2", "3");
  await world.start({ start: "TRIM_HORIZON" }, (_record, context) => {
    const copy = { ...context };
    contexts.push(copy);
    signals.push(context.signal);
  });
  expect(contexts.map(({ signal }) => signal)).toEqual(signals);
  expect(new Set(signals).size).toBe(3);
});

test("a signal that nobody asks for sets no timer, and one that was asked for leaves none", async () => {
  const timersOf = async (ask: (context: HandlerContext) => unknown): Promise<number[]> => {
    const all = gate();
    const { world } = await leased(() => async (_record, context) => {
      ask(context);
      await all.opened;
    });
    await world.clock.settle();
    const inHand = world.clock.pendingTimers;
    all.open();
    await world.clock.settle();
    return [inHand, world.clock.pendingTimers];
  };
  const [without, after] = await timersOf(() => undefined);
  expect(await timersOf(({ signal }) => signal)).toEqual([without! + 1, after]);
});

import { expect, test } from "vitest";
import {
  checkpointAt,
  LeaseLostError,
  MemoryStoreData,
  StoreError,
  type ConsumerOptions,
  type HandlerContext,
} from "../src/index.ts";
import { sleep } from "../src/clock.ts";
import { gate } from "./support/calls.ts";
import { failing, late, RecordingStore } from "./support/recording-store.ts";
import { ScriptedGroup } from "./support/scripted-group.ts";
import { World, type Run } from "./support/world.ts";

const SHARD = "shardId-000000000000";
const OUTAGE = new StoreError("STORE_UNAVAILABLE", "", { retryable: true });
const at = (sequenceNumber: string | undefined) =>
  checkpointAt({ sequenceNumber: sequenceNumber! });

/** A scan under a group in the test's hand, whose handler waits to be told to end. */
class Seam {
  readonly world: World;
  readonly store: RecordingStore;
  readonly group: ScriptedGroup;
  readonly contexts: HandlerContext[] = [];
  /** Texts of the records whose handler runs now. */
  readonly inHand: string[] = [];
  run!: Run;
  /** Handlers of these texts run until `end`; all others end at once. */
  slow: (text: string) => boolean = () => false;
  readonly #ends: (() => void)[] = [];

  private constructor(world: World) {
    this.world = world;
    this.store = new RecordingStore(world.clock);
    this.group = new ScriptedGroup(this.store.data);
  }

  static async of(options: Omit<Partial<ConsumerOptions>, "group" | "store"> = {}): Promise<Seam> {
    const seam = new Seam(await World.of());
    const { group, store } = seam;
    seam.run = await seam.world.start(
      { group, store, start: "TRIM_HORIZON", flushIntervalMs: 60_000, ...options },
      (record, context) => seam.#handle(record.text(), context),
    );
    return seam;
  }

  /** Ends the handler that has run longest. */
  async end(): Promise<void> {
    this.#ends.shift()!();
    await this.world.clock.settle();
  }

  async #handle(text: string, context: HandlerContext): Promise<void> {
    this.contexts.push(context);
    if (!this.slow(text)) return;
    this.inHand.push(text);
    await new Promise<void>((resolve) => this.#ends.push(resolve));
    this.inHand.splice(this.inHand.indexOf(text), 1);
  }
}

test("every write carries the grant's fence, and the handler sees it", async () => {
  const { world, store, group, contexts } = await Seam.of({ flushIntervalMs: 1000 });
  const grant = group.grant(SHARD);
  await world.put("a", "1");
  await world.clock.advance(1000);
  grant.handOff();
  await world.clock.advance(1000);
  const again = group.grant(SHARD);
  await world.put("a", "2");
  await world.split(SHARD);
  await world.clock.advance(1000);

  expect(contexts.map(({ fence }) => fence)).toEqual([grant.fence, again.fence]);
  const fences = store.bulkWrites.flatMap(({ writes }) => writes.map(({ fence }) => fence));
  expect(fences).toEqual([grant.fence, again.fence]);
});

test("a hand-off finishes the record in hand, flushes, and lets go", async () => {
  const seam = await Seam.of();
  const { world, store, run } = seam;
  seam.slow = (text) => text === "2";
  const grant = seam.group.grant(SHARD);
  const [, second] = await world.put("a", "1", "2", "3");
  await world.clock.advance(1000);
  grant.handOff();
  await world.clock.advance(1000);
  expect(grant.outcome).toBeUndefined();
  expect(seam.contexts[1]!.signal.aborted).toBe(false);
  await seam.end();

  expect(grant.outcome).toEqual({ kind: "released", checkpoint: at(second) });
  expect(run.texts).toEqual(["1", "2"]);
  expect(store.stored(SHARD)).toEqual(at(second));
  await world.clock.advance(60_000);
  expect(run.texts).toEqual(["1", "2"]);
});

test("a hand-off whose deadline a handler misses is forced: its signal aborts, finished work is flushed", async () => {
  const seam = await Seam.of();
  const { world, store, run } = seam;
  seam.slow = (text) => text === "2";
  const grant = seam.group.grant(SHARD);
  const [first] = await world.put("a", "1", "2", "3");
  await world.clock.advance(1000);
  grant.handOff(5000);
  await world.clock.advance(4999);
  expect(grant.outcome).toBeUndefined();
  await world.clock.advance(1);

  expect(grant.outcome).toEqual({ kind: "forced", checkpoint: at(first) });
  expect(seam.contexts[1]!.signal.aborted).toBe(true);
  expect(store.writesOf(SHARD)).toEqual([at(first)]);
  // What the handler that was given up still finishes is the next owner's.
  await seam.end();
  await world.clock.advance(60_000);
  expect(run.texts).toEqual(["1", "2"]);
  expect(store.writesOf(SHARD)).toEqual([at(first)]);
  expect(run.settled).toBeUndefined();
});

test("a hand-off during a store outage waits for the store: finished work is not dropped while the lease is held", async () => {
  const seam = await Seam.of({ flushIntervalMs: 1000 });
  const { world, store } = seam;
  const grant = seam.group.grant(SHARD);
  await world.put("a", "1");
  await world.clock.advance(2000);
  const mend = store.let("setCheckpoints", failing(OUTAGE));
  const [second] = await world.put("a", "2");
  await world.clock.advance(2000);
  grant.handOff(5000);
  await world.clock.advance(60_000);
  expect(grant.outcome).toBeUndefined();
  mend();
  await world.clock.advance(5000);
  expect(grant.outcome).toEqual({ kind: "released", checkpoint: at(second) });
  expect(store.stored(SHARD)).toEqual(at(second));
});

test("a hand-off that is forced during an outage keeps what was finished before the handler in hand", async () => {
  const seam = await Seam.of({ flushIntervalMs: 1000 });
  const { world, store } = seam;
  seam.slow = (text) => text === "2";
  const grant = seam.group.grant(SHARD);
  const mend = store.let("setCheckpoints", failing(OUTAGE));
  const [first] = await world.put("a", "1", "2");
  await world.clock.advance(2000);
  grant.handOff(5000);
  await world.clock.advance(5000);
  expect(seam.contexts[1]!.signal.aborted).toBe(true);
  await world.clock.advance(60_000);
  expect(grant.outcome).toBeUndefined();
  mend();
  await world.clock.advance(5000);
  expect(grant.outcome).toEqual({ kind: "forced", checkpoint: at(first) });
});

test("a hand-off that waits for the store ends with a stop's deadline, or when the lease is lost", async () => {
  const cases = (["stop", "loss"] as const).flatMap((end) =>
    [false, true].map((handling) => ({ end, handling })),
  );
  for (const { end, handling } of cases) {
    const seam = await Seam.of({ flushIntervalMs: 1000, drainTimeoutMs: 3000 });
    const { world, store } = seam;
    const grant = seam.group.grant(SHARD);
    store.let("setCheckpoints", failing(OUTAGE));
    // With a handler in hand the hand-off is forced, and then waits for the store.
    seam.slow = (text) => handling && text === "2";
    await world.put("a", "1", "2");
    await world.clock.advance(2000);
    grant.handOff(5000);
    await world.clock.advance(20_000);
    if (end === "stop") seam.run.abort();
    else grant.lose();
    await world.clock.advance(end === "stop" ? 3999 : 0);
    expect(grant.outcome?.kind).toBe(end === "stop" ? undefined : "lost");
    await world.clock.advance(1);
    expect(grant.outcome).toMatchObject({ kind: end === "stop" ? "forced" : "lost" });
    if (handling) await seam.end();
  }
});

test("a lost shard stops at once: the signal aborts with the reason, nothing more is begun or written", async () => {
  const seam = await Seam.of();
  const { world, store, run } = seam;
  seam.slow = (text) => text === "2";
  const grant = seam.group.grant(SHARD);
  await world.put("a", "1", "2", "3");
  await world.clock.advance(1000);
  grant.lose("evicted by w2");
  await world.clock.settle();

  expect(grant.outcome).toMatchObject({ kind: "lost" });
  const { signal } = seam.contexts[1]!;
  expect(signal.reason).toBeInstanceOf(LeaseLostError);
  expect(String(signal.reason)).toContain("evicted by w2");
  await seam.end();
  await world.clock.advance(120_000);
  expect(run.texts).toEqual(["1", "2"]);
  expect(store.bulkWrites).toEqual([]);
  expect(run.settled).toBeUndefined();
});

test("a fence that the store refuses loses the shard, and no other", async () => {
  const seam = await Seam.of({ flushIntervalMs: 1000 });
  const { world, run } = seam;
  const grant = seam.group.grant(SHARD);
  await world.put("a", "1");
  await world.clock.settle();
  grant.loseUnawares();
  await world.clock.advance(1000);
  expect(grant.outcome).toMatchObject({ kind: "lost" });
  expect(run.settled).toBeUndefined();
  expect(seam.contexts[0]!.signal.reason).toBeInstanceOf(LeaseLostError);
});

test("a frozen shard begins no record after one that was awaited, waits, and goes on when it thaws", async () => {
  const seam = await Seam.of();
  const { world, run } = seam;
  const grant = seam.group.grant(SHARD);
  seam.slow = (text) => text === "20";
  await world.put("a", ...Array.from({ length: 100 }, (_, i) => String(i)));
  await world.clock.advance(1000);
  expect(seam.inHand).toEqual(["20"]);
  grant.endsAt = world.clock.monotonic();
  await seam.end();
  await world.clock.advance(60_000);
  expect(run.records).toHaveLength(21);
  await world.put("a", "later");
  await world.clock.advance(60_000);
  expect(run.records).toHaveLength(21);

  grant.endsAt = Infinity;
  await world.clock.advance(1000);
  expect(run.records).toHaveLength(101);
  expect(grant.outcome).toBeUndefined();
});

test("a frozen shard begins 15 records more at most of a handler that is done with each at once", async () => {
  const world = await World.of();
  const store = new RecordingStore(world.clock);
  const group = new ScriptedGroup(store.data);
  await world.put("a", ...Array.from({ length: 100 }, (_, i) => String(i)));
  const run = await world.start({ group, store, start: "TRIM_HORIZON" }, (record) => {
    if (record.text() === "20") grant.endsAt = world.clock.monotonic();
  });
  const grant = group.grant(SHARD);
  await world.clock.advance(60_000);
  expect(run.records.length).toBeLessThanOrEqual(21 + 15);
});

test("a shard that is frozen from the start begins nothing", async () => {
  const seam = await Seam.of();
  const grant = seam.group.grant(SHARD);
  grant.endsAt = seam.world.clock.monotonic();
  await seam.world.put("a", "1");
  await seam.world.clock.advance(60_000);
  expect(seam.run.texts).toEqual([]);
  grant.handOff();
  await seam.world.clock.advance(1000);
  expect(grant.outcome).toEqual({ kind: "released", checkpoint: undefined });
});

test("a shard granted again goes on after the released checkpoint, with neither gap nor repeat", async () => {
  const seam = await Seam.of();
  const { world, run, group } = seam;
  const texts = Array.from({ length: 60 }, (_, i) => String(i));
  seam.slow = (text) => Number(text) % 7 === 3;
  await world.put("a", ...texts);
  let grant = group.grant(SHARD);
  while (run.records.length < texts.length || seam.inHand.length > 0) {
    await world.clock.advance(1000);
    grant.handOff();
    if (seam.inHand.length > 0) await seam.end();
    await world.clock.advance(1000);
    expect(grant.outcome?.kind).toBe("released");
    const released = grant.outcome?.kind === "released" ? grant.outcome.checkpoint : undefined;
    grant = group.grant(SHARD);
    expect(grant.checkpoint).toEqual(released);
  }
  expect(run.texts).toEqual(texts);
});

test("a shard granted again before it brought a record misses nothing that came meanwhile", async () => {
  const seam = await Seam.of({ start: "LATEST" });
  const { world, run, group } = seam;
  const grant = group.grant(SHARD);
  await world.clock.advance(100);
  grant.handOff();
  await world.clock.advance(100);
  expect(grant.outcome).toEqual({ kind: "released", checkpoint: undefined });
  await world.put("a", "between");
  group.grant(SHARD);
  await world.clock.advance(1000);
  expect(run.texts).toEqual(["between"]);
});

test("handlers of a shard never overlap, also when it is granted again while a given-up one runs", async () => {
  const seam = await Seam.of();
  const { world, run, group } = seam;
  seam.slow = () => true;
  await world.put("a", "1", "2");
  const first = group.grant(SHARD);
  await world.clock.advance(1000);
  first.lose();
  await world.clock.advance(1000);
  // Two more grants while the first handler hangs: one is taken back again, one waits.
  const second = group.grant(SHARD);
  await world.clock.advance(10_000);
  second.handOff();
  await world.clock.advance(1000);
  expect(second.outcome).toEqual({ kind: "released", checkpoint: undefined });
  const third = group.grant(SHARD);
  await world.clock.advance(10_000);
  expect(seam.inHand).toEqual(["1"]);
  expect(run.texts).toEqual(["1"]);

  await seam.end();
  await world.clock.advance(1000);
  expect(seam.inHand).toEqual(["1"]);
  expect(run.texts).toEqual(["1", "1"]);
  expect(seam.contexts[1]!.fence).toEqual(third.fence);
  await seam.end();
  await seam.end();
});

test("a group that gives leases back when its last shard is out is waited for", async () => {
  const seam = await Seam.of({ drainTimeoutMs: 5000 });
  const { world, run, group } = seam;
  seam.slow = () => true;
  await world.put("a", "1");
  const grant = group.grant(SHARD);
  await world.clock.advance(1000);
  let released = false;
  group.leave = async () => {
    while (grant.outcome === undefined) await sleep(world.clock, 10);
    await sleep(world.clock, 500);
    released = true;
  };
  run.abort();
  await world.clock.advance(5000);
  expect(grant.outcome).toMatchObject({ kind: "forced" });
  expect(run.settled).toBeUndefined();
  await world.clock.advance(600);
  expect(released).toBe(true);
  expect(run.error).toMatchObject({ code: "DRAIN_TIMEOUT" });
  await seam.end();
});

test("a lease that is lost during its hand-over is reported at once, as lost", async () => {
  const seam = await Seam.of();
  const { world, store, group } = seam;
  seam.slow = (text) => text === "2";
  const grant = group.grant(SHARD);
  await world.put("a", "1", "2");
  await world.clock.advance(1000);
  grant.handOff(20_000);
  await world.clock.advance(1000);
  grant.lose("evicted");
  await world.clock.advance(0);

  expect(grant.outcome).toMatchObject({ kind: "lost" });
  const { signal } = seam.contexts[1]!;
  expect(signal.reason).toMatchObject({ code: "LEASE_LOST", shardId: SHARD });
  await seam.end();
  await world.clock.advance(60_000);
  expect(store.bulkWrites).toEqual([]);
});

test("a stop waits for a handler that was given up before", async () => {
  const seam = await Seam.of();
  const { world, run, group } = seam;
  seam.slow = () => true;
  await world.put("a", "1");
  const grant = group.grant(SHARD);
  await world.clock.advance(1000);
  grant.lose();
  run.abort();
  await world.clock.advance(5000);
  expect(run.settled).toBeUndefined();
  await seam.end();
  expect(run.settled).toEqual({ error: undefined });
});

test("a stop while a given-up handler runs and the shard is granted again ends at its deadline", async () => {
  const seam = await Seam.of({ drainTimeoutMs: 5000 });
  const { world, run, group } = seam;
  seam.slow = () => true;
  await world.put("a", "1");
  const first = group.grant(SHARD);
  await world.clock.advance(1000);
  first.lose();
  const second = group.grant(SHARD);
  await world.clock.advance(1000);
  run.abort();
  await world.clock.advance(6000);
  expect(second.outcome).toEqual({ kind: "stopped" });
  expect(run.settled).toBeDefined();
  await seam.end();
});

test("a stop during a hand-off waits for the record in hand and flushes it", async () => {
  const seam = await Seam.of();
  const { world, store, run, group } = seam;
  seam.slow = () => true;
  const [first] = await world.put("a", "1", "2");
  const grant = group.grant(SHARD);
  await world.clock.advance(1000);
  grant.handOff(10_000);
  run.abort();
  await world.clock.advance(5000);
  expect(run.settled).toBeUndefined();
  await seam.end();
  await world.clock.settle();
  expect(run.settled).toEqual({ error: undefined });
  expect(grant.outcome).toEqual({ kind: "released", checkpoint: at(first) });
  expect(store.stored(SHARD)).toEqual(at(first));
  expect(world.clock.pendingTimers).toBe(0);
});

test("a hand-off during a stop is over with the stop", async () => {
  const seam = await Seam.of({ drainTimeoutMs: 3000 });
  const { world, run, group } = seam;
  seam.slow = () => true;
  await world.put("a", "1");
  const grant = group.grant(SHARD);
  await world.clock.advance(1000);
  run.abort();
  await world.clock.advance(1000);
  grant.handOff(60_000);
  await world.clock.advance(3000);
  expect(grant.outcome).toMatchObject({ kind: "forced" });
  expect(run.error).toMatchObject({
    code: "DRAIN_TIMEOUT",
    shards: [{ shardId: SHARD, acknowledged: undefined, waitingFor: "handler" }],
  });
  expect(world.clock.pendingTimers).toBe(0);
  // What the handler finishes after all is nobody's business any more.
  await seam.end();
  expect(world.clock.pendingTimers).toBe(0);
});

test.each([
  { takenBack: "handed over", kind: "released" },
  { takenBack: "lost", kind: "lost" },
] as const)(
  "a shard that was $takenBack before its reading began delivers nothing",
  async (own) => {
    const { takenBack, kind } = own;
    const { world, run, group } = await Seam.of();
    await world.put("a", "1");
    const before = group.grant(SHARD, { takenBack });
    await world.clock.advance(1000);
    expect(before.outcome).toMatchObject({ kind });
    expect(world.kinesis.countOf("GetShardIterator")).toBe(0);
    expect(run.texts).toEqual([]);
  },
);

test.each(["hand-off", "lost"] as const)(
  "a shard that is taken back while its first iterator is on its way delivers nothing: %s",
  async (kind) => {
    const { world, run, group } = await Seam.of();
    await world.put("a", "1");
    world.kinesis.faults.delay({ operation: "GetShardIterator", ms: 5000 });
    const grant = group.grant(SHARD);
    await world.clock.advance(1000);
    if (kind === "lost") grant.lose();
    else grant.handOff();
    await world.clock.settle();
    expect(grant.outcome).toMatchObject({ kind: kind === "lost" ? "lost" : "released" });
    await world.clock.advance(10_000);
    expect(run.texts).toEqual([]);
  },
);

test("a hand-off with a write under way waits for it and leaves nothing behind", async () => {
  const seam = await Seam.of({ flushIntervalMs: 1000 });
  const { world, store, group } = seam;
  store.let("setCheckpoints", late(world.clock, 2000));
  const grant = group.grant(SHARD);
  await world.put("a", "1");
  await world.clock.advance(1500);
  const [second] = await world.put("a", "2");
  await world.clock.advance(500);
  grant.handOff(10_000);
  await world.clock.advance(5000);
  expect(grant.outcome).toEqual({ kind: "released", checkpoint: at(second) });
  expect(store.stored(SHARD)).toEqual(at(second));
});

test("a group that fails ends the scan with its error; finished work is flushed", async () => {
  const seam = await Seam.of();
  const { world, store, run, group } = seam;
  const [first] = await world.put("a", "1");
  const grant = group.grant(SHARD);
  await world.clock.advance(1000);
  group.fail(new StoreError("STORE_REGRESSED", "the store came back empty"));
  await world.clock.settle();
  expect(run.error).toMatchObject({ code: "STORE_REGRESSED" });
  expect(grant.outcome).toEqual({ kind: "stopped" });
  expect(store.stored(SHARD)).toEqual(at(first));
});

test("a group that does not return after a stop is waited for a second past the deadline, no longer", async () => {
  const seam = await Seam.of({ drainTimeoutMs: 5000 });
  const { world, run, group } = seam;
  group.leave = () => new Promise(() => {});
  const grant = group.grant(SHARD);
  await world.clock.advance(1000);
  run.abort();
  await world.clock.advance(5999);
  expect(grant.outcome).toEqual({ kind: "stopped" });
  expect(run.settled).toBeUndefined();
  await world.clock.advance(1);
  expect(run.settled).toEqual({ error: undefined });
  expect(world.logger.find("warn", /group did not return/)).toHaveLength(1);
  expect(world.clock.pendingTimers).toBe(0);
});

test("a hand-off that is over while the end is flushed gives up the hook that follows", async () => {
  const world = await World.of();
  const data = new MemoryStoreData();
  const store = new RecordingStore(world.clock, { data });
  store.let("setCheckpoints", late(world.clock, 1500), 1);
  const group = new ScriptedGroup(data);
  const hook = gate();
  await world.start({ store, group, onShardClosed: () => hook.opened });
  const grant = group.grant(SHARD);
  await world.clock.advance(1000);
  await world.split(SHARD);
  while (store.countOf("setCheckpoints") === 0) await world.clock.advance(50);
  grant.handOff(500);
  await world.clock.advance(1400);
  expect(grant.outcome, "the store has not answered").toBeUndefined();
  await world.clock.advance(2000);
  expect(grant.outcome).toEqual({ kind: "forced", checkpoint: store.stored(SHARD) });
  hook.open();
});

import { setMaxListeners } from "node:events";
import { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { CallSemaphore, type SemaphoreSize } from "../src/kinesis/call-semaphore.ts";
import { Caller, type CallPermit } from "../src/kinesis/call-permit.ts";

const forEver = new AbortController().signal;
setMaxListeners(0, forEver);

/** One caller, and the state of its call. */
class Call {
  readonly caller: Caller;
  permit: CallPermit | undefined;
  error: unknown;
  aborted: Error | undefined;

  constructor(semaphore: CallSemaphore, caller = new Caller(), signal = forEver) {
    this.caller = caller;
    semaphore.acquire(caller, signal).then(
      (permit) => {
        this.permit = permit;
        permit.beginCall({ onActivity: () => {}, onAbort: (error) => (this.aborted = error) });
      },
      (error: unknown) => (this.error = error),
    );
  }

  /** Its reply has arrived. */
  answer(): void {
    this.permit!.activity();
    this.permit!.release();
  }
}

function setUp(size: SemaphoreSize): { clock: FakeClock; semaphore: CallSemaphore } {
  const clock = new FakeClock();
  return { clock, semaphore: new CallSemaphore(clock, size) };
}

test("who waits in the line sees an abort at once, and leaves it", async () => {
  const { clock, semaphore } = setUp({ regular: 1, late: 0 });
  const first = new Call(semaphore);
  const stop = new AbortController();
  const waiting = new Call(semaphore, new Caller(), stop.signal);
  const next = new Call(semaphore);
  await clock.settle();
  stop.abort("stopped");
  await clock.settle();
  expect(waiting.error).toBe("stopped");
  first.answer();
  await clock.settle();
  expect([waiting.permit, next.permit].map(Boolean)).toEqual([false, true]);
});

test("a late call makes room for those that wait, without being given up", async () => {
  const { clock, semaphore } = setUp({ regular: 2, late: 1 });
  const calls = [new Call(semaphore), new Call(semaphore), new Call(semaphore)];
  await clock.advance(799);
  expect(calls.map(({ permit }) => permit !== undefined)).toEqual([true, true, false]);
  await clock.advance(1);
  expect(calls.map(({ permit }) => permit !== undefined)).toEqual([true, true, true]);
  expect(calls.some(({ aborted }) => aborted)).toBe(false);
  calls[0]!.answer();
  expect(calls[0]!.caller).toMatchObject({ late: true, silent: false });
});

test("late calls that nobody waits behind stay as they are", async () => {
  const { clock, semaphore } = setUp({ regular: 2, late: 1 });
  const calls = [new Call(semaphore), new Call(semaphore)];
  await clock.advance(60_000);
  expect(calls.some(({ aborted }) => aborted)).toBe(false);
  expect(clock.pendingTimers).toBe(0);
});

test("where late calls have no room left, as many are given up as others wait", async () => {
  const { clock, semaphore } = setUp({ regular: 3, late: 1 });
  const hung = [new Call(semaphore), new Call(semaphore), new Call(semaphore)];
  const waiting = [new Call(semaphore), new Call(semaphore)];
  await clock.advance(800);
  expect(hung.filter(({ aborted }) => aborted)).toHaveLength(1);
  expect(hung[1]!.aborted).toMatchObject({ name: "TimeoutError" });
  hung[1]!.permit!.release();
  await clock.settle();
  expect(waiting.every(({ permit }) => permit !== undefined)).toBe(true);
});

test("a turn that is given up between two calls gives up the next one as it begins, and not the last one", async () => {
  const { clock, semaphore } = setUp({ regular: 1, late: 1 });
  const hung = [new Call(semaphore), new Call(semaphore)];
  await clock.advance(800);
  const [, second] = hung;
  second!.permit!.endCall();
  const third = new Call(semaphore);
  await clock.advance(10_000);
  expect(second!.aborted).toBeUndefined();
  let error: Error | undefined;
  second!.permit!.beginCall({ onActivity: () => {}, onAbort: (reason) => (error = reason) });
  expect(error).toMatchObject({ name: "TimeoutError" });
  second!.permit!.release();
  await clock.settle();
  expect(third.permit).toBeDefined();
});

test("a caller whose call was late takes a late place until a reply comes in time", async () => {
  const { clock, semaphore } = setUp({ regular: 1, late: 1 });
  const slow = new Call(semaphore);
  await clock.advance(900);
  slow.answer();
  const again = new Call(semaphore, slow.caller);
  const other = new Call(semaphore);
  await clock.settle();
  expect([again.permit, other.permit].map(Boolean)).toEqual([true, true]);
  await clock.advance(10);
  again.answer();
  other.answer();
  expect(slow.caller).toMatchObject({ late: false, silent: false });
});

test("of those that wait for a late place whoever was answered goes first", async () => {
  const { clock, semaphore } = setUp({ regular: 1, late: 1 });
  const late = (silent: boolean): Caller => Object.assign(new Caller(), { late: true, silent });
  const inside = new Call(semaphore, late(true));
  const silent = new Call(semaphore, late(true));
  const answered = new Call(semaphore, late(false));
  await clock.settle();
  inside.answer();
  await clock.settle();
  expect([silent.permit, answered.permit].map(Boolean)).toEqual([false, true]);
});

test("a reply that goes on coming is not late", async () => {
  const { clock, semaphore } = setUp({ regular: 1, late: 1 });
  const downloading = new Call(semaphore);
  await clock.advance(100);
  const waiting = new Call(semaphore);
  for (let i = 0; i < 50; i += 1) {
    downloading.permit!.activity();
    await clock.advance(200);
  }
  expect(waiting.permit).toBeUndefined();
  downloading.permit!.release();
  await clock.settle();
  expect(waiting.permit).toBeDefined();
  expect(downloading.caller.late).toBe(false);
});

test("what is late goes by what replies take", async () => {
  const { clock, semaphore } = setUp({ regular: 1, late: 1 });
  for (let i = 0; i < 100; i += 1) {
    const call = new Call(semaphore);
    await clock.advance(20);
    call.answer();
  }
  const hung = new Call(semaphore);
  const waiting = new Call(semaphore);
  await clock.advance(249);
  expect(waiting.permit).toBeUndefined();
  await clock.advance(1);
  expect(waiting.permit).toBeDefined();
  hung.answer();
  expect(semaphore.permitsPerSecond).toBeGreaterThan(45);
  expect(semaphore.permitsPerSecond).toBeLessThan(55);
});

import { setMaxListeners } from "node:events";
import { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { CallLine, type LineSize } from "../src/kinesis/call-line.ts";
import { Caller, type Turn } from "../src/kinesis/call-turn.ts";

const forEver = new AbortController().signal;
setMaxListeners(0, forEver);

/** One caller, and what became of its call. */
class Call {
  readonly caller: Caller;
  turn: Turn | undefined;
  error: unknown;
  givenUp: Error | undefined;

  constructor(line: CallLine, caller = new Caller(), signal = forEver) {
    this.caller = caller;
    line.enter(caller, signal).then(
      (turn) => {
        this.turn = turn;
        turn.called({ heard: () => {}, givenUp: (error) => (this.givenUp = error) });
      },
      (error: unknown) => (this.error = error),
    );
  }

  /** Its reply is here. */
  answer(): void {
    this.turn!.heard();
    this.turn!.leave();
  }
}

function setUp(size: LineSize): { clock: FakeClock; line: CallLine } {
  const clock = new FakeClock();
  return { clock, line: new CallLine(clock, size) };
}

test("who waits in the line sees an abort at once, and leaves it", async () => {
  const { clock, line } = setUp({ prompt: 1, late: 0 });
  const first = new Call(line);
  const stop = new AbortController();
  const waiting = new Call(line, new Caller(), stop.signal);
  const next = new Call(line);
  await clock.settle();
  stop.abort("stopped");
  await clock.settle();
  expect(waiting.error).toBe("stopped");
  first.answer();
  await clock.settle();
  expect([waiting.turn, next.turn].map(Boolean)).toEqual([false, true]);
});

test("a late call makes room for those that wait, without being given up", async () => {
  const { clock, line } = setUp({ prompt: 2, late: 1 });
  const calls = [new Call(line), new Call(line), new Call(line)];
  await clock.advance(799);
  expect(calls.map(({ turn }) => turn !== undefined)).toEqual([true, true, false]);
  await clock.advance(1);
  expect(calls.map(({ turn }) => turn !== undefined)).toEqual([true, true, true]);
  expect(calls.some(({ givenUp }) => givenUp)).toBe(false);
  calls[0]!.answer();
  expect(calls[0]!.caller).toMatchObject({ late: true, silent: false });
});

test("late calls that nobody waits behind stay as they are", async () => {
  const { clock, line } = setUp({ prompt: 2, late: 1 });
  const calls = [new Call(line), new Call(line)];
  await clock.advance(60_000);
  expect(calls.some(({ givenUp }) => givenUp)).toBe(false);
  expect(clock.pendingTimers).toBe(0);
});

test("where late calls have no room left, as many are given up as others wait", async () => {
  const { clock, line } = setUp({ prompt: 3, late: 1 });
  const hung = [new Call(line), new Call(line), new Call(line)];
  const waiting = [new Call(line), new Call(line)];
  await clock.advance(800);
  expect(hung.filter(({ givenUp }) => givenUp)).toHaveLength(1);
  expect(hung[1]!.givenUp).toMatchObject({ name: "TimeoutError" });
  hung[1]!.turn!.leave();
  await clock.settle();
  expect(waiting.every(({ turn }) => turn !== undefined)).toBe(true);
});

test("a turn that is given up between two calls gives up the next one as it begins, and not the last one", async () => {
  const { clock, line } = setUp({ prompt: 1, late: 1 });
  const hung = [new Call(line), new Call(line)];
  await clock.advance(800);
  const [, second] = hung;
  second!.turn!.ended();
  const third = new Call(line);
  await clock.advance(10_000);
  expect(second!.givenUp).toBeUndefined();
  let error: Error | undefined;
  second!.turn!.called({ heard: () => {}, givenUp: (reason) => (error = reason) });
  expect(error).toMatchObject({ name: "TimeoutError" });
  second!.turn!.leave();
  await clock.settle();
  expect(third.turn).toBeDefined();
});

test("a caller whose call was late takes a late place until a reply comes in time", async () => {
  const { clock, line } = setUp({ prompt: 1, late: 1 });
  const slow = new Call(line);
  await clock.advance(900);
  slow.answer();
  const again = new Call(line, slow.caller);
  const other = new Call(line);
  await clock.settle();
  expect([again.turn, other.turn].map(Boolean)).toEqual([true, true]);
  await clock.advance(10);
  again.answer();
  other.answer();
  expect(slow.caller).toMatchObject({ late: false, silent: false });
});

test("of those that wait for a late place whoever was answered goes first", async () => {
  const { clock, line } = setUp({ prompt: 1, late: 1 });
  const late = (silent: boolean): Caller => Object.assign(new Caller(), { late: true, silent });
  const inside = new Call(line, late(true));
  const silent = new Call(line, late(true));
  const answered = new Call(line, late(false));
  await clock.settle();
  inside.answer();
  await clock.settle();
  expect([silent.turn, answered.turn].map(Boolean)).toEqual([false, true]);
});

test("a reply that goes on coming is not late", async () => {
  const { clock, line } = setUp({ prompt: 1, late: 1 });
  const downloading = new Call(line);
  await clock.advance(100);
  const waiting = new Call(line);
  for (let i = 0; i < 50; i += 1) {
    downloading.turn!.heard();
    await clock.advance(200);
  }
  expect(waiting.turn).toBeUndefined();
  downloading.turn!.leave();
  await clock.settle();
  expect(waiting.turn).toBeDefined();
  expect(downloading.caller.late).toBe(false);
});

test("what is late goes by what replies take", async () => {
  const { clock, line } = setUp({ prompt: 1, late: 1 });
  for (let i = 0; i < 100; i += 1) {
    const call = new Call(line);
    await clock.advance(20);
    call.answer();
  }
  const hung = new Call(line);
  const waiting = new Call(line);
  await clock.advance(249);
  expect(waiting.turn).toBeUndefined();
  await clock.advance(1);
  expect(waiting.turn).toBeDefined();
  hung.answer();
  expect(line.turnsPerSecond).toBeGreaterThan(45);
  expect(line.turnsPerSecond).toBeLessThan(55);
});

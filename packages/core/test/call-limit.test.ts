import { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { CallLimit } from "../src/adapter.ts";

const TIMEOUT = new Error("no answer");
const never = new Promise<never>(() => {});

function limit(clock: FakeClock, ...signals: (AbortSignal | undefined)[]): CallLimit {
  return new CallLimit({ clock, timeoutMs: 1000, onTimeout: () => TIMEOUT, signals });
}

test("an answer comes through, and with `stop` neither timer nor listener is left", async () => {
  const clock = new FakeClock();
  const caller = new AbortController();
  const call = limit(clock, caller.signal);
  expect(await call.wait(Promise.resolve(7))).toBe(7);
  call.stop();
  expect(clock.pendingTimers).toBe(0);
  caller.abort();
  expect(call.signal.aborted).toBe(false);
});

test("time ends what never answers, with the reason that `onTimeout` makes", async () => {
  const clock = new FakeClock();
  const call = limit(clock);
  const ended = call.wait(never).catch((reason: unknown) => reason);
  await clock.advance(999);
  expect(call.signal.aborted).toBe(false);
  await clock.advance(1);
  expect(await ended).toBe(TIMEOUT);
  expect(call.signal.reason).toBe(TIMEOUT);
});

test.each([0, 1])(
  "signal %i of two ends it with its own reason, a falsy one too",
  async (index) => {
    const callers = [new AbortController(), new AbortController()];
    const call = limit(new FakeClock(), ...callers.map(({ signal }) => signal), undefined);
    const ended = call.wait(never);
    callers[index]!.abort(null);
    await expect(ended).rejects.toBeNull();
    expect(call.signal.aborted).toBe(true);
  },
);

test("what ended it first is the reason, for every wait that follows", async () => {
  const clock = new FakeClock();
  const [first, second] = [new AbortController(), new AbortController()];
  const call = limit(clock, first.signal, second.signal);
  first.abort("first");
  second.abort("second");
  await clock.advance(1000);
  await expect(call.wait(never)).rejects.toBe("first");
  await expect(call.wait(Promise.resolve(7))).rejects.toBe("first");
  expect(call.signal.reason).toBe("first");
});

test("a signal that is aborted already ends it at once", async () => {
  const call = limit(new FakeClock(), AbortSignal.abort("before"));
  await expect(call.wait(never)).rejects.toBe("before");
});

test("the reason comes before the error of what was called and heeded the signal", async () => {
  const caller = new AbortController();
  const call = limit(new FakeClock(), caller.signal);
  const heeding = new Promise<never>((_resolve, reject) => {
    call.signal.addEventListener("abort", () => reject(new Error("its own")));
  });
  const ended = call.wait(heeding);
  caller.abort("why");
  await expect(ended).rejects.toBe("why");
});

test("a sign of life begins its time anew, ten times over at most", async () => {
  const clock = new FakeClock();
  const call = limit(clock);
  const ended = call.wait(never).catch((reason: unknown) => reason);
  await clock.advance(600);
  call.renew();
  await clock.advance(999);
  expect(call.signal.aborted).toBe(false);
  for (let at = 1599; at < 9999; at += 700) {
    call.renew();
    await clock.advance(700);
  }
  call.renew();
  expect(call.signal.aborted).toBe(false);
  await clock.advance(1);
  expect(await ended).toBe(TIMEOUT);
  expect(clock.pendingTimers).toBe(0);
});

test("without another sign it ends its time after the last one", async () => {
  const clock = new FakeClock();
  const call = limit(clock);
  const ended = call.wait(never).catch((reason: unknown) => reason);
  await clock.advance(600);
  call.renew();
  await clock.advance(1000);
  expect(await ended).toBe(TIMEOUT);
});

test("its signal may be asked for late, is one and the same, and has the reason", async () => {
  const caller = new AbortController();
  const call = limit(new FakeClock(), caller.signal);
  expect(call.isOver).toBe(false);
  caller.abort("why");
  expect(call.isOver).toBe(true);
  expect(call.signal).toMatchObject({ aborted: true, reason: "why" });
  const { options } = limit(new FakeClock(), caller.signal);
  expect(options.abortSignal.reason).toBe("why");
  expect({ ...options }.abortSignal).toBe(options.abortSignal);
});

test("whoever waits for its end without a signal is called once, at once if it is over", async () => {
  const call = limit(new FakeClock());
  const reasons: unknown[] = [];
  call.whenOver((reason) => reasons.push(reason));
  call.end("first");
  call.end("second");
  expect(reasons).toEqual(["first"]);
  call.whenOver((reason) => reasons.push(reason));
  expect(reasons).toEqual(["first", "first"]);
});

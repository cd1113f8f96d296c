import { getMaxListeners, setMaxListeners } from "node:events";
import { setImmediate } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { World } from "./support/world.ts";

test("any number of scans, loops and readers of events on one signal of the caller's is no leak", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on("warning", onWarning);
  onTestFinished(() => void process.off("warning", onWarning));
  const world = await World.of();
  const stop = new AbortController();
  const { signal } = stop;
  const limit = getMaxListeners(signal);
  const ends: Promise<unknown>[] = [];
  for (let i = 0; i < 12; i += 1) {
    const scanning = world.consumer({ application: `scan-${i}` });
    ends.push(scanning.scan(() => {}, { signal }));
    ends.push(scanning.events({ signal }).next());
    ends.push(
      world
        .consumer({ application: `loop-${i}` })
        .records({ signal })
        .next(),
    );
  }
  await world.clock.advance(1000);
  await setImmediate();
  stop.abort();
  await world.clock.advance(1000);
  await Promise.all(ends);

  expect(warnings).toEqual([]);
  expect(getMaxListeners(signal)).toBe(limit);
});

test("a signal without a limit of listeners stops a scan, a loop and a reader of events", async () => {
  const world = await World.of();
  const stop = new AbortController();
  const { signal } = stop;
  setMaxListeners(0, signal);
  const consumer = world.consumer({ application: "scan" });
  const ends = [
    consumer.scan(() => {}, { signal }),
    consumer.events({ signal }).next(),
    world.consumer({ application: "loop" }).records({ signal }).next(),
  ];
  await world.clock.advance(1000);
  stop.abort();
  await world.clock.advance(1000);
  await Promise.all(ends);
});

import { FakeClock } from "@kc/emulator";
import { expect, test } from "vitest";
import { openApplication } from "../src/checkpoints/application.ts";
import { StoreCalls } from "../src/checkpoints/store-calls.ts";
import { MemoryStore, MemoryStoreData, type StartPosition } from "../src/index.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";
import { MemoryLogger } from "./support/memory-logger.ts";

const SCOPE = { application: "billing", streamName: "orders" };

/** Opens the application on a machine whose clock is `fastMs` ahead of the service's. */
function opening(data: MemoryStoreData, clock: FakeClock, fastMs: number, start: StartPosition) {
  const logger = new MemoryLogger();
  const telemetry = new Telemetry({ logger }, { stream: "orders", application: "billing" }, clock);
  const store = new MemoryStore({ data });
  const opened = openApplication({
    calls: new StoreCalls({ store, clock, random: () => 0.5, telemetry }),
    scope: SCOPE,
    description: { streamARN: "", creationTimestamp: undefined },
    start,
    serviceNow: () => new Date(clock.now() - fastMs),
    clock,
    telemetry,
    signal: new AbortController().signal,
  });
  opened.catch(() => {});
  return { opened, logger };
}

test("a start that a fast clock puts ahead of the service's is waited for, before anything is written", async () => {
  const clock = new FakeClock();
  const data = new MemoryStoreData();
  const timestamp = new Date(clock.now());
  const { opened, logger } = opening(data, clock, 2000, { timestamp });
  await clock.advance(1999);
  expect(data.application(SCOPE).row).toBeUndefined();
  await clock.advance(1001);

  expect(await opened).toMatchObject({ firstStart: true, row: { start: { timestamp } } });
  expect(logger.find("warn", /ahead of the service's clock/)).toHaveLength(1);
});

test("a start far ahead of the service's clock is refused, and nothing is written", async () => {
  const clock = new FakeClock();
  const data = new MemoryStoreData();
  const timestamp = new Date(clock.now() + 301_000);
  const { opened } = opening(data, clock, 0, { timestamp });

  await expect(opened).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    option: "start.timestamp",
    message: expect.stringContaining("301 s ahead"),
  });
  expect(data.application(SCOPE).row).toBeUndefined();
});

test("a start far ahead that an earlier version left in the store is named, with what to do", async () => {
  const clock = new FakeClock();
  const data = new MemoryStoreData();
  data.application(SCOPE).row = {
    ...SCOPE,
    streamARN: "",
    start: { timestamp: new Date(clock.now() + 1e9) },
    startedAt: new Date(clock.now()),
    migrated: false,
  };
  const { opened } = opening(data, clock, 0, "LATEST");

  await expect(opened).rejects.toThrow(/delete the application's row/);
});

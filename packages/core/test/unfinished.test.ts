import { expect, test } from "vitest";
import { World } from "./support/world.ts";

test("a scan after a stop that ran out of time begins no record of a shard whose handler still runs", async () => {
  const world = await World.of();
  await world.put("a", "1", "2");
  let running = 0;
  let most = 0;
  let finish = (): void => {};
  const handler = async (): Promise<void> => {
    running += 1;
    most = Math.max(most, running);
    await new Promise<void>((resolve) => (finish = resolve));
    running -= 1;
  };
  const consumer = world.consumer({ start: "TRIM_HORIZON", drainTimeoutMs: 1000 });
  const first = await world.run(consumer, handler);
  await world.clock.advance(1000);
  await first.stop();
  expect(first.error).toMatchObject({ code: "DRAIN_TIMEOUT" });

  const second = await world.run(consumer, handler);
  await world.clock.advance(5000);
  expect(second.texts).toEqual([]);
  expect(consumer.status().shards).toMatchObject([{ state: "waiting" }]);
  finish();
  await world.clock.advance(1000);
  expect(second.texts).toEqual(["1"]);
  expect(most).toBe(1);
  finish();
  await world.clock.advance(1000);
  finish();
  await second.stop();
});

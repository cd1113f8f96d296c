import { expect, test } from "vitest";
import { reshardHourly } from "../../core/test/support/reshards.ts";
import { StatsdCounter } from "../src/index.ts";

test("a day of hourly reshards sends what the shards report that there are, and keeps no memory", async () => {
  let sent = 0;
  const send = (): void => void (sent += 1);
  const counter = new StatsdCounter({ client: { increment: send, gauge: send, timing: send } });
  const { readings, heapGrowth } = await reshardHourly(counter, 200, async () => {
    const ofHour = sent;
    sent = 0;
    return ofHour;
  });
  expect(new Set(readings)).toEqual(new Set([readings[0]]));
  expect(readings[0]).toBeGreaterThan(200 * 10);
  expect(heapGrowth).toBeLessThan(4e6);
});

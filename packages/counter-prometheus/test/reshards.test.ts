import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { reshardHourly } from "../../core/test/support/reshards.ts";
import { PrometheusCounter } from "../src/index.ts";

test("a day of hourly reshards leaves the series of the last shards alone, and no memory", async () => {
  const registry = new Registry();
  const counter = new PrometheusCounter({ registry });
  const { readings, heapGrowth } = await reshardHourly(counter, 200, async () => {
    const lines = (await registry.metrics()).split("\n");
    return lines.filter((line) => line.includes("shard_id=")).length;
  });
  expect(new Set(readings)).toEqual(new Set([readings[0]]));
  expect(readings[0]).toBeGreaterThan(200 * 10);
  expect(heapGrowth).toBeLessThan(4e6);
});

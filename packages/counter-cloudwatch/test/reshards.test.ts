import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { reshardHourly } from "../../core/test/support/reshards.ts";
import { CloudWatchCounter } from "../src/index.ts";

test("a day of hourly reshards sends each hour the gauges of the shards that there are, and keeps no memory", async () => {
  let gauges = 0;
  const output = new Writable({
    write: (line: Buffer, _encoding, done) => {
      if (line.includes('"Lag"')) gauges += 1;
      done();
    },
  });
  await using counter = new CloudWatchCounter({ output, perShard: true });
  const { readings, heapGrowth } = await reshardHourly(counter, 200, async () => {
    gauges = 0;
    await counter.flush();
    return gauges;
  });
  expect(new Set(readings)).toEqual(new Set([200]));
  expect(heapGrowth).toBeLessThan(4e6);
  expect(counter.dropped).toBe(0);
});

import { expect, test } from "vitest";
import { sleep } from "../src/clock.ts";
import { consumerOn, Database, transacting } from "./support/effects.ts";
import { World } from "./support/world.ts";

test("what scan did beyond its watermark is not delivered again, however often scanTransaction begins anew", async () => {
  const world = await World.of();
  const all = ["0", "1", "2", "3", "4", "5", "6"];
  for (const n of all) await world.put(`k${n}`, n);
  const database = new Database();
  const store = database.open();
  const scanned: string[] = [];
  const consumer = consumerOn(world, store, { drainTimeoutMs: 500 });
  const scan = await world.runScan(consumer, ({ signal }) =>
    consumer.scan(
      async (record) => {
        if (["1", "2", "5", "6"].includes(record.text())) await sleep(world.clock, 1e6);
        scanned.push(record.text());
      },
      { concurrency: 8, ordering: "key", signal },
    ),
  );
  await world.clock.advance(5000);
  await scan.stop();
  expect(scanned).toEqual(["0", "3", "4"]);
  const dying = database.open();
  dying.disturbances.afterCommit = () => {
    void dying.close();
    return new Promise(() => {});
  };
  const apply: Parameters<typeof transacting>[2] = (records, { tx }) => database.apply(tx, records);
  const first = await transacting(world, dying, apply, { maxRecords: 1 }, { drainTimeoutMs: 500 });
  await world.clock.advance(500);
  await first.stop();
  expect(database.effects).toEqual(["1"]);
  const second = await transacting(world, store, apply, { maxRecords: 1 });
  await world.clock.advance(5000);
  await second.stop();
  expect([...scanned, ...database.effects].toSorted()).toEqual(all);
});

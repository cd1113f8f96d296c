import { expect, test } from "vitest";
import { StoreError } from "../src/index.ts";
import { failing, RecordingStore } from "./support/recording-store.ts";
import { World } from "./support/world.ts";

test("a lasting failure of the store rejects the scan", async () => {
  const world = await World.of({ shards: 2 });
  const store = new RecordingStore(world.clock);
  store.let("setCheckpoints", failing(new StoreError("STORE_SCHEMA", "no such table")));
  const run = await world.start({ store });
  await world.put("a", "1");
  await world.clock.advance(3000);

  expect(run.settled).toBeDefined();
  expect(run.error).toMatchObject({ code: "STORE_SCHEMA" });
  expect(store.countOf("setCheckpoints")).toBe(1);
});

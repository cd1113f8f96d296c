import { FakeClock } from "@kc/emulator";
import { expect, it } from "vitest";
import { RefusalGrace, StoreError } from "../src/index.ts";

const refused = new StoreError("STORE_ACCESS_DENIED", "denied", { cause: "the server" });

it("a store that has never answered is refused for good", () => {
  expect(new RefusalGrace(new FakeClock()).weigh(refused)).toBe(refused);
});

it("a refusal passes for a minute, once the store has answered, and then lasts", async () => {
  const clock = new FakeClock();
  const grace = new RefusalGrace(clock);
  grace.answered();
  const passing = { code: "STORE_ACCESS_DENIED", retryable: true, cause: "the server" };
  expect(grace.weigh(refused)).toMatchObject(passing);
  await clock.advance(59_999);
  expect(grace.weigh(refused)).toMatchObject(passing);
  await clock.advance(1);
  expect(grace.weigh(refused)).toBe(refused);
  grace.answered();
  expect(grace.weigh(refused), "an answer begins it anew").toMatchObject(passing);
});

it("other errors stay as they are", () => {
  const grace = new RefusalGrace(new FakeClock());
  grace.answered();
  const schema = new StoreError("STORE_SCHEMA", "no table");
  expect(grace.weigh(schema)).toBe(schema);
});

it("codes that an adapter names pass for a minute too", () => {
  const schema = new StoreError("STORE_SCHEMA", "the table is being restored");
  const grace = new RefusalGrace(new FakeClock(), ["STORE_ACCESS_DENIED", "STORE_SCHEMA"]);
  expect(grace.weigh(schema)).toBe(schema);
  grace.answered();
  expect(grace.weigh(schema)).toMatchObject({ code: "STORE_SCHEMA", retryable: true });
  expect(grace.weigh(refused)).toMatchObject({ retryable: true });
});

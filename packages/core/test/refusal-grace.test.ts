import { FakeClock } from "@kc/emulator";
import { expect, it } from "vitest";
import { RefusalGrace } from "../src/adapter.ts";
import { StoreError } from "../src/index.ts";

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
  await clock.advance(30_000);
  expect(grace.weigh(refused), "after answers alone it starts over").toMatchObject(passing);
});

it("a call that is refused each time has one minute, whatever is answered meanwhile", async () => {
  const clock = new FakeClock();
  const grace = new RefusalGrace(clock);
  const retryable: boolean[] = [];
  for (let second = 0; second <= 60; second += 5) {
    grace.answered();
    const error = grace.weigh(refused);
    retryable.push(error.retryable);
    grace.answered();
    await clock.advance(5000);
  }
  expect(retryable).toStrictEqual([...Array<boolean>(12).fill(true), false]);
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

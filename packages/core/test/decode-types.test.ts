import { expect, test } from "vitest";
import type { Consumer, ConsumerRecord, Handler, StandardSchemaV1 } from "../src/index.ts";
import { World } from "./support/world.ts";

interface Order {
  readonly order: number;
}

const anOrder: StandardSchemaV1<Order> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => ({ value: value as Order }),
  },
};

/** What the compiler has to accept. Never called. */
export function typed(consumer: Consumer): void {
  // A schema, a function and a declared type each say what a record's value is.
  void consumer.scan(({ value }) => value.order.toFixed(), { decode: anOrder });
  const orderOf = (record: ConsumerRecord): Order => record.json<Order>();
  void consumer.scan(({ value }) => value.order.toFixed(), { decode: orderOf });
  void consumer.scanShard("shardId-0", ({ value }) => value.order.toFixed(), { decode: orderOf });
  void consumer.scan<Order>(({ value }) => value.order, { decode: (record) => record.json() });
  void consumer.scanBatch((records) => records.map(({ value }) => value.order.toFixed()), {
    decode: anOrder,
  });
  // @ts-expect-error without a decoder there is no value
  void consumer.scan(({ value }) => value.order);
  // A handler that was written for any record takes those with a value too.
  const anyHandler: Handler = (record) => record.text();
  void consumer.scan(anyHandler, { decode: anOrder });
}

test("scan decodes each record, and gives up what does not decode without an attempt", async () => {
  const world = await World.of();
  await world.put("a", `{"order":1}`, "no JSON", `{"order":2}`);
  const values: unknown[] = [];
  const consumer = world.consumer({ start: "TRIM_HORIZON" });
  const run = await world.run(consumer, ({ value }) => void values.push(value), {
    decode: anOrder,
    onFailure: "skip",
    retry: {},
  } as never);
  await world.clock.advance(1000);
  await run.stop();
  expect(values).toEqual([{ order: 1 }, { order: 2 }]);
  expect(world.counter.total("records_given_up")).toBe(1);
  expect(world.counter.total("handler_attempts")).toBe(0);
});

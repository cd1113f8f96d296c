import { describe, expect, it } from "vitest";
import { decodingOf, type Decoder, type StandardResult } from "../src/delivery/decode.ts";
import { ConsumerRecord } from "../src/index.ts";

interface Order {
  readonly order: number;
}

function recordOf(text: string): ConsumerRecord {
  return new ConsumerRecord({
    data: new TextEncoder().encode(text),
    partitionKey: "customer",
    sequenceNumber: "7",
    subSequenceNumber: undefined,
    approximateArrivalMs: 0,
    shardId: "shardId-000000000000",
    millisBehindLatest: 0,
    encryptionType: undefined,
  });
}

/** A schema as libraries make them; those of some are functions. */
function schemaOf(
  validate: (value: unknown) => StandardResult<Order> | Promise<StandardResult<Order>>,
): Decoder<Order> {
  return { "~standard": { version: 1, vendor: "test", validate } };
}

const anOrder = schemaOf((value) => {
  const { order } = value as Partial<Order>;
  return typeof order === "number"
    ? { value: { order } }
    : { issues: [{ message: "not a number", path: [{ key: "order" }] }, { message: "no order" }] };
});

function thrownBy(decoder: Decoder<unknown>, text = `{"order":1}`): unknown {
  try {
    decodingOf(decoder)(recordOf(text));
  } catch (error) {
    return error;
  }
  return expect.fail("the decoder must refuse the record");
}

describe("decode", () => {
  it("sets the value that a function makes of the record", () => {
    const record = recordOf(`{"order":1}`);
    decodingOf((each) => each.json<Order>().order)(record);
    expect(record.value).toBe(1);
    expect(record.copy().value).toBe(1);
  });

  it("sets the value that a schema makes of the record's JSON", () => {
    const record = recordOf(`{"order":1,"more":true}`);
    decodingOf(anOrder)(record);
    expect(record.value).toStrictEqual({ order: 1 });
  });

  it("knows a schema that is a function", () => {
    const callable = Object.assign(() => expect.fail("called"), anOrder);
    const record = recordOf(`{"order":2}`);
    decodingOf(callable as Decoder<Order>)(record);
    expect(record.value).toStrictEqual({ order: 2 });
  });

  it("leaves a frozen record its value", () => {
    const record = Object.freeze(recordOf("{}"));
    expect(() => decodingOf(() => 1)(record)).not.toThrow();
  });

  it("says what a schema objects to, three issues at most", () => {
    expect(thrownBy(anOrder, "{}")).toMatchObject({
      name: "UndecodableError",
      message: "order: not a number; no order",
    });
    const issues = [1, 2, 3, 4, 5].map((n) => ({ message: `no ${n}`, path: ["list", n] }));
    expect(thrownBy(schemaOf(() => ({ issues })))).toMatchObject({
      message: "list.1: no 1; list.2: no 2; list.3: no 3; and 2 more",
    });
  });

  it.each([
    ["undefined", undefined, "undefined"],
    ["a text", "no", "no"],
    ["a frozen error", Object.freeze(new RangeError("no")), "no"],
    ["an error with a code", Object.assign(new Error("no"), { code: "E_NO" }), "no"],
  ])("takes %s that a function throws for a record that does not decode", (_, thrown, message) => {
    const error = thrownBy(() => {
      throw thrown;
    });
    expect(error).toMatchObject({ name: "UndecodableError", message });
    if (thrown !== undefined) expect(error).toHaveProperty("cause", thrown);
  });

  it("takes data that are no JSON for a record that no schema decodes", () => {
    expect(thrownBy(anOrder, "no JSON")).toMatchObject({ name: "UndecodableError" });
  });

  it.each([
    ["a schema", schemaOf(async () => ({ value: { order: 1 } }))],
    ["a schema that rejects", schemaOf(() => Promise.reject(new Error("later")))],
    ["a function", async () => 1],
    ["a function that rejects", () => Promise.reject(new Error("later"))],
  ])("refuses %s that is async, and no promise is left behind", async (_, decoder) => {
    expect(thrownBy(decoder)).toMatchObject({ code: "CONFIG_INVALID", option: "decode" });
    // An unhandled rejection would fail the test.
    await new Promise(setImmediate);
  });
});

import { Decoder, Encoder } from "cbor-x";
import { describe, expect, it } from "vitest";
import { cborProtocol } from "../src/http/cbor-protocol.ts";

const MILLISECONDS = 1_764_325_800_123;
const int64 = (type: number, value: number): Buffer => {
  const bytes = Buffer.alloc(9);
  bytes[0] = type + 27;
  bytes.writeBigUInt64BE(BigInt(value), 1);
  return bytes;
};

describe("a timestamp in a CBOR request", () => {
  it.each([
    [
      "tag 1 with an integer of 64 bits",
      Buffer.concat([Buffer.from([0xc1]), int64(0, MILLISECONDS)]),
    ],
    ["an integer of 64 bits without a tag", int64(0, MILLISECONDS)],
    ["tag 1 with a float", Buffer.concat([Buffer.from([0xc1, 0xfb]), doubleOf(MILLISECONDS)])],
  ])("is read in milliseconds: %s", (_what, bytes) => {
    const decoded = cborProtocol.decode(bytes);
    expect(cborProtocol.values.timestamp(decoded)).toEqual(new Date(MILLISECONDS));
  });
});

describe("a CBOR request", () => {
  it("is read as another encoder writes it", () => {
    const request = {
      text: "clé 鍵 🔑",
      empty: "",
      data: Buffer.alloc(70_000, 7),
      list: [0, -1, 23, 24, 255, 256, 65_536, 2 ** 32, 2 ** 53 - 1, -(2 ** 40), 0.5, -1e300],
      nested: { yes: true, no: false, nothing: null },
    };
    const encoder = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });
    expect(cborProtocol.decode(encoder.encode(request))).toEqual(request);
  });

  it.each([
    ["a list without a length", "9f01020304ff", [1, 2, 3, 4]],
    ["a map without a length", "bf616101ff", { a: 1 }],
    ["a text in chunks", "7f6161626263ff", "abc"],
    ["bytes in chunks", "5f4101420203ff", Buffer.from([1, 2, 3])],
    ["half a float", "f93e00", 1.5],
    ["a float", "fa47c35000", 100_000],
    ["a tag without a meaning here", "c24101", Buffer.from([1])],
    ["undefined", "f7", null],
    ["a member named like a prototype", "a1695f5f70726f746f5f5f01", JSON.parse('{"__proto__":1}')],
  ])("may hold %s", (_what, bytes, value) => {
    expect(cborProtocol.decode(Buffer.from(bytes, "hex"))).toEqual(value);
  });

  it.each([
    ["that breaks off", "6261"],
    ["with a name that is a number", "a10101"],
    ["with a head that means nothing", "1c"],
    ["with a break where none can be", "ff"],
    ["with a chunk of another type", "7f4101ff"],
    ["without anything", ""],
  ])("%s is refused", (_what, bytes) => {
    expect(() => cborProtocol.decode(Buffer.from(bytes, "hex"))).toThrow(RangeError);
  });
});

describe("a CBOR reply", () => {
  it("has integers as integers, whatever their size", () => {
    for (const value of [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
      const bytes = cborProtocol.encode({ value }) as Uint8Array;
      // A map of one, the name's head and its five letters; then the number, of type 0.
      expect(bytes[7]! >> 5).toBe(0);
      expect(decode(bytes)).toEqual({ value });
      expect(decode(cborProtocol.encode({ value: -1 - value }) as Uint8Array)).toEqual({
        value: -1 - value,
      });
    }
  });

  it("has dates under tag 1 as integers of milliseconds", () => {
    const bytes = Buffer.from(cborProtocol.encode({ at: new Date(MILLISECONDS) }));
    const expected = Buffer.concat([Buffer.from([0xc1]), int64(0, MILLISECONDS)]);
    expect(bytes.subarray(4)).toEqual(expected);
  });

  it("is what another decoder reads, without undefined members", () => {
    const reply = {
      text: "clé 鍵 🔑".repeat(100),
      empty: "",
      data: Buffer.alloc(100_000, 7),
      list: Array.from({ length: 300 }, (_, index) => ({ index, half: index / 2 })),
      yes: true,
      no: false,
    };
    const bytes = cborProtocol.encode({ ...reply, nothing: undefined }) as Uint8Array;
    const decoded = new Decoder({ useRecords: false }).decode(bytes) as typeof reply;
    expect({ ...decoded, data: Buffer.from(decoded.data) }).toEqual(reply);
  });
});

function doubleOf(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
}

function decode(bytes: Uint8Array): unknown {
  const decoded: unknown = new Decoder({ useRecords: false }).decode(bytes);
  // It makes a BigInt of 64 bits.
  return JSON.parse(
    JSON.stringify(decoded, (_, value: unknown) =>
      typeof value === "bigint" ? Number(value) : value,
    ),
  );
}

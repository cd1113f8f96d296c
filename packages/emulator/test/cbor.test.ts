import { Decoder } from "cbor-x";
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
    expect(decode(bytes)).toEqual({ ...reply, data: expect.any(Uint8Array) });
    expect(Buffer.from((decode(bytes) as typeof reply).data)).toEqual(reply.data);
  });
});

function doubleOf(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
}

function decode(bytes: Uint8Array): unknown {
  return new Decoder({ useRecords: false, int64AsNumber: true }).decode(bytes);
}

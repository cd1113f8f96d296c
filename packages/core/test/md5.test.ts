import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { lanesInJavaScript, lanesInWebAssembly, openLanes } from "../src/kinesis/md5/lanes.ts";
import { Md5, MAX_MESSAGES } from "../src/kinesis/md5/md5.ts";
import { MAX_SHORT_BYTES, ShortMd5 } from "../src/kinesis/md5/short-md5.ts";

const hex = (md5: Md5 | ShortMd5, index: number): string =>
  [0, 1, 2, 3].map((word) => md5.wordOf(index, word).toString(16).padStart(8, "0")).join("");

const openssl = (bytes: Uint8Array): string => createHash("md5").update(bytes).digest("hex");

describe.each([
  ["WebAssembly", lanesInWebAssembly],
  ["JavaScript", lanesInJavaScript],
])("MD5 in %s", (_name, open) => {
  const md5 = new Md5(open());

  test("is that of OpenSSL, whatever the lengths of the messages that are digested together", () => {
    const length = fc.oneof(fc.nat(300), fc.integer({ min: 4000, max: 4200 }), fc.nat(20_000));
    const lengths = fc.array(length, { maxLength: MAX_MESSAGES });
    fc.assert(
      fc.property(lengths, fc.nat(), (all, seed) => {
        const messages = all.map((bytes, i) =>
          Buffer.from(Array.from({ length: bytes + 8 }, (_, at) => at * (seed + i))),
        );
        for (const message of messages) md5.add(message, 3, message.length - 5);
        md5.digest();
        for (const [i, message] of messages.entries()) {
          expect(hex(md5, i)).toBe(openssl(message.subarray(3, -5)));
        }
      }),
      { numRuns: 30 },
    );
  });

  test("of short messages is that of OpenSSL, however many fit, and whatever lies around them", () => {
    const short = new ShortMd5(open());
    const message = fc.tuple(fc.nat(MAX_SHORT_BYTES), fc.oneof(fc.nat(20), fc.nat(900)));
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 300, size: "max" }), (all) => {
        const bytes = Buffer.from(
          Array.from({ length: all.flat().reduce((a, b) => a + b, 0) }, (_, at) => at * 7 + 1),
        );
        const found: string[] = [];
        let added = 0;
        const take = (): void => {
          short.digest(bytes);
          for (let i = 0; i < added; i += 1) found.push(hex(short, i));
          added = 0;
        };
        let at = 0;
        const expected = all.map(([length, before]) => {
          at += before + length;
          if (!short.add(at - length, at)) {
            take();
            expect(short.add(at - length, at)).toBe(true);
          }
          added += 1;
          return openssl(bytes.subarray(at - length, at));
        });
        take();
        expect(found).toEqual(expected);
      }),
      { numRuns: 12 },
    );
  });
});

test("messages that could not be digested are no part of the next ones", () => {
  const md5 = new Md5(openLanes());
  const lost = new Uint8Array(9000);
  for (let i = 0; i < 3; i += 1) md5.add(Buffer.alloc(9000), 0, 9000);
  md5.add(lost, 0, 9000);
  structuredClone(lost.buffer, { transfer: [lost.buffer] });
  expect(() => md5.digest()).toThrow(TypeError);
  md5.add(Buffer.from("message"), 0, 7);
  md5.digest();
  expect(hex(md5, 0)).toBe(openssl(Buffer.from("message")));
});

test("without WebAssembly, MD5 is computed in JavaScript", () => {
  vi.stubGlobal("WebAssembly", undefined);
  const md5 = new Md5(openLanes());
  vi.unstubAllGlobals();
  md5.add(Buffer.from("message"), 0, 7);
  md5.digest();
  expect(hex(md5, 0)).toBe(openssl(Buffer.from("message")));
});

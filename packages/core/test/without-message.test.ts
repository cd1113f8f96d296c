import fc from "fast-check";
import { expect, test } from "vitest";
import { codeOfError, typeOfError, withoutMessage } from "../src/adapter.ts";

const hostile = (): never => {
  throw new Error("a getter that throws");
};

test.each([
  ["an error", new TypeError("secret"), "TypeError"],
  ["one with a code", Object.assign(new Error("secret"), { code: "E_STOCK" }), "Error (E_STOCK)"],
  ["a code that is a text", Object.assign(new Error(), { code: "the secret" }), "Error"],
  ["a name that is a text", Object.assign(new Error(), { name: "the secret" }), "Error"],
  ["a text", "secret", "a thrown string"],
  ["nothing", undefined, "a thrown undefined"],
  ["an object", { message: "secret" }, "Error"],
  ["an object without a prototype", Object.create(null), "Error"],
  ["a proxy that refuses", new Proxy({}, { get: hostile, getPrototypeOf: hostile }), "Error"],
])("%s is named by its type and code", (_what, thrown, type) => {
  expect(typeOfError(thrown)).toBe(type);
  const stripped = withoutMessage(thrown);
  expect(stripped.message).toBe("");
  expect(stripped.stack?.split("\n", 1)).toEqual([type]);
  expect(codeOfError(stripped)).toBe(codeOfError(thrown));
});

test("the frames of a stack stay, and nothing of the message, whatever lines it has", () => {
  const { stack } = withoutMessage(new Error("secret\n    at secret (secret:1:1)\n    at secret"));
  expect(stack).not.toContain("secret");
  expect(stack).toMatch(/^Error\n +at .*without-message\.test\.ts/);
});

test("whatever is thrown, it can be reported without its message", () => {
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (thrown) => {
      expect(withoutMessage(thrown)).toBeInstanceOf(Error);
      expect(typeOfError(thrown).length).toBeLessThan(200);
    }),
  );
});

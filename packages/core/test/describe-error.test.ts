import fc from "fast-check";
import { expect, test } from "vitest";
import { describeError } from "../src/errors.ts";
import { Consumer } from "../src/index.ts";
import { World } from "./support/world.ts";

const hostile = (): never => {
  throw new Error("a getter that throws");
};

const THROWN: readonly (readonly [what: string, thrown: unknown, text: string | RegExp])[] = [
  ["an error", new TypeError("x is not a function"), "TypeError: x is not a function"],
  ["a text", "no", "no"],
  ["nothing", undefined, "undefined"],
  ["a symbol", Symbol("s"), "Symbol(s)"],
  ["a plain object", { code: 7, why: "full" }, "{ code: 7, why: 'full' }"],
  ["an object without a prototype", Object.create(null), "[Object: null prototype] {}"],
  [
    "a code that the message lacks",
    coded("connect", "ECONNREFUSED"),
    "Error: connect (ECONNREFUSED)",
  ],
  ["a code that it has", coded("read ECONNRESET", "ECONNRESET"), "Error: read ECONNRESET"],
  [
    "a cause",
    new TypeError("fetch failed", { cause: coded("getaddrinfo", "ENOTFOUND") }),
    "TypeError: fetch failed, caused by Error: getaddrinfo (ENOTFOUND)",
  ],
  [
    "a cause that was reported already",
    new Error("it failed: Error: why", { cause: new Error("why") }),
    "Error: it failed: Error: why",
  ],
  [
    "several at once",
    Object.assign(new AggregateError([new Error("refused")]), { code: "ECONNREFUSED" }),
    "AggregateError:  (ECONNREFUSED), caused by Error: refused",
  ],
  ["a cause that is the error itself", circular(), "Error: round"],
  ["line breaks and colours", "a\nb\u001b[31mc\u2028d", "a\\nb\\u001b[31mc\\u2028d"],
  ["a long text", new Error("x".repeat(1e6)), /^Error: x{993}… \(999007 characters more\)$/],
  [
    "a name that is a megabyte",
    Object.assign(new Error("x"), { name: "N".repeat(1e6) }),
    /^N{80}… /,
  ],
  ["a message that is none", Object.assign(new Error(), { message: 7 }), "Error: 7"],
  [
    "an error that cannot be read",
    Object.defineProperty(new Error("x"), "message", { get: hostile }),
    "an error that cannot be read",
  ],
  [
    "a proxy that refuses",
    new Proxy({}, { get: hostile, getPrototypeOf: hostile }),
    "an error that cannot be read",
  ],
];

test.each(THROWN)("%s is reported in one short line", (_what, thrown, text) => {
  if (typeof text === "string") expect(describeError(thrown)).toBe(text);
  else expect(describeError(thrown)).toMatch(text);
});

test("whatever is thrown, there is one printable line of bounded length", () => {
  // Any code point, control characters among them.
  const text = fc.string({ unit: "binary" });
  const error = fc.tuple(text, text).map(([name, message]) => {
    return Object.assign(new Error(message), { name });
  });
  const anything = fc.anything({ withNullPrototype: true, withBigInt: true });
  fc.assert(
    fc.property(fc.oneof(anything, text, error), (thrown) => {
      const line = describeError(thrown);
      expect(line).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
      expect(line.length).toBeLessThan(7000);
    }),
  );
});

test.each([
  ["an object without a prototype", Object.create(null)],
  ["an error that cannot be read", Object.defineProperty(new Error(), "name", { get: hostile })],
  ["a line break and a megabyte", `a\n${"b".repeat(1e6)}`],
])("a handler that throws %s has failed, with that as the cause", async (_what, thrown) => {
  const world = await World.of();
  await world.put("a", "1");
  const run = await world.start({ start: "TRIM_HORIZON" }, () => {
    throw thrown;
  });
  await world.clock.advance(1000);

  expect(run.error).toMatchObject({ code: "HANDLER_FAILED" });
  const { cause, message } = run.error as Error;
  expect(cause).toBe(thrown);
  expect(message.length).toBeLessThan(1300);
  expect(message).not.toContain("\n");
});

test("what a ConfigError quotes is cut, and in one line", () => {
  const refused = (): unknown => new Consumer({ stream: `a\n\u001b[31m${"b".repeat(1e6)}` });
  expect(refused).toThrow(/^stream: "a\\n\\u001b\[31mb+… \(\d+ characters more\)$/);
});

function coded(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}

function circular(): Error {
  const error = new Error("round");
  error.cause = error;
  return error;
}

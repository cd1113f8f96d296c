import fc from "fast-check";
import { expect, test } from "vitest";
import { ChunkedDecoder } from "../src/kinesis/transport/chunked.ts";
import { ReplyBody } from "../src/kinesis/transport/reply-body.ts";
import { BadReplyError, parseReplyHead } from "../src/kinesis/transport/reply-head.ts";
import {
  pathOf,
  requestMessage,
  type HttpRequest,
} from "../src/kinesis/transport/request-message.ts";

const bytes = fc.uint8Array({ maxLength: 3000 });
const cuts = fc.array(fc.nat({ max: 4000 }), { maxLength: 12 });

/** The same bytes, in pieces. */
function pieces(whole: Uint8Array, at: readonly number[]): Uint8Array[] {
  const ends = [...at.filter((end) => end < whole.length), whole.length].toSorted((a, b) => a - b);
  return ends.map((end, index) => whole.subarray(index === 0 ? 0 : ends[index - 1]!, end));
}

function chunked(body: Uint8Array, at: readonly number[], trailer: string): Uint8Array {
  const chunks = pieces(body, at).filter((piece) => piece.length > 0);
  return Buffer.concat([
    ...chunks.flatMap((chunk) => [
      Buffer.from(`${chunk.length.toString(16)};name=value\r\n`),
      chunk,
      Buffer.from("\r\n"),
    ]),
    Buffer.from(`0\r\n${trailer}\r\n`),
  ]);
}

test("a chunked body is the same in whatever pieces it comes, and ends where it ends", () => {
  fc.assert(
    fc.property(
      bytes,
      cuts,
      cuts,
      fc.constantFrom("", "a: b\r\n"),
      (body, at, network, trailer) => {
        const wire = Buffer.concat([chunked(body, at, trailer), Buffer.from("HTTP")]);
        const decoder = new ChunkedDecoder();
        const read: Uint8Array[] = [];
        let own = 0;
        for (const piece of pieces(wire, network)) {
          own += decoder.decode(piece, (part) => read.push(part));
        }
        expect(decoder.done).toBe(true);
        expect(own).toBe(wire.length - 4);
        expect(Buffer.concat(read).equals(body)).toBe(true);
      },
    ),
  );
});

test.each([
  ["a size that is no number", "x\r\n"],
  ["a negative size", "-1\r\n"],
  ["a size beyond all memory", "fffffffff\r\n"],
  ["no size", "\r\n"],
  ["a line without CR", "1\na\r\n"],
  ["a chunk longer than its size", "1\r\nab\r\n"],
  ["a line without an end", "1;".padEnd(20_000, "x")],
])("a chunked body with %s is refused", (_what, wire) => {
  expect(() => new ChunkedDecoder().decode(Buffer.from(wire), () => {})).toThrow(BadReplyError);
});

test("a counted body takes its own bytes and no more, into the room it offers or from a piece", () => {
  fc.assert(
    fc.property(bytes, cuts, fc.boolean(), (body, network, intoBuffer) => {
      const head = headOf(`content-length: ${body.length}`);
      const asked: number[] = [];
      const reply = new ReplyBody(head, "POST", (size) => asked.push(size));
      let own = 0;
      expect(asked).toEqual([body.length === 0 ? 0 : body.length + 1]);
      for (const piece of pieces(Buffer.concat([body, Buffer.from("XX")]), network)) {
        let at = 0;
        while (intoBuffer && at < piece.length) {
          const free = reply.free();
          if (free === undefined) break;
          const part = piece.subarray(at, at + free.length);
          free.set(part);
          own += reply.commit(part.length);
          at += part.length;
        }
        if (!intoBuffer) own += reply.add(piece);
      }
      expect(own).toBe(body.length);
      expect(reply.done).toBe(true);
      expect(reply.free()).toBeUndefined();
      expect(Buffer.from(reply.bytes()).equals(body)).toBe(true);
    }),
  );
});

function headOf(...lines: readonly string[]): NonNullable<ReturnType<typeof parseReplyHead>> {
  return parseReplyHead(Buffer.from(["HTTP/1.1 200 OK", ...lines, "", ""].join("\r\n")))!;
}

test("a head is complete with its empty line, and not before", () => {
  const text = "HTTP/1.1 404 Not Found\r\nX-A: 1\r\nx-a:  2 \r\nDate: \r\n\r\n";
  for (let length = 0; length < text.length; length += 1) {
    expect(parseReplyHead(Buffer.from(text.slice(0, length)))).toBeUndefined();
  }
  expect(parseReplyHead(Buffer.from(`${text}body`))).toEqual({
    statusCode: 404,
    reason: "Not Found",
    headers: { "x-a": "1, 2", date: "" },
    keepsAlive: true,
    length: text.length,
  });
});

test.each([
  ["HTTP/1.1 200 OK\r\nconnection: keep-alive, Close", false],
  ["HTTP/1.0 200 OK", false],
  ["HTTP/1.0 200 OK\r\nConnection: Keep-Alive", true],
  ["HTTP/1.1 200", true],
])("%j keeps the connection: %s", (lines, keeps) => {
  expect(parseReplyHead(Buffer.from(`${lines}\r\n\r\n`))?.keepsAlive).toBe(keeps);
});

test.each([
  "SSH-2.0-OpenSSH_9.6\r\n\r\n",
  "HTTP/2 200\r\n\r\n",
  "HTTP/1.1 20 OK\r\n\r\n",
  "HTTP/1.1 200 OK\r\nno header\r\n\r\n",
  "HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n",
  "HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n",
  "HTTP/1.1 200 OK\r\nx y: 1\r\n\r\n",
])("%j is no head", (text) => {
  expect(() => parseReplyHead(Buffer.from(text))).toThrow(BadReplyError);
});

test.each([
  ["a length that is no number", ["content-length: 0x10"]],
  ["a negative length", ["content-length: -1"]],
  ["a length beside another space", ["content-length: 1\v"]],
  ["a coding beside another space", ["transfer-encoding: chunked\f"]],
  ["two lengths", ["content-length: 1", "content-length: 2"]],
  ["a length beside chunks", ["content-length: 1", "transfer-encoding: chunked"]],
  ["another coding", ["transfer-encoding: gzip, chunked"]],
])("a reply with %s is refused", (_what, lines) => {
  expect(() => new ReplyBody(headOf(...lines), "POST", () => {})).toThrow(BadReplyError);
});

test("no reply takes more memory than a page can, whatever it announces", () => {
  const asked: number[] = [];
  const reply = new ReplyBody(headOf("content-length: 99999999999"), "POST", (n) => asked.push(n));
  const chunk = new Uint8Array(1024 * 1024);
  expect(() => {
    for (;;) reply.add(chunk);
  }).toThrow(/longer than 32 MiB/);
  expect(Math.max(...asked)).toBe(32 * 1024 * 1024);
});

const request = (over: Partial<HttpRequest> = {}): HttpRequest => ({
  protocol: "http:",
  hostname: "localhost",
  method: "POST",
  path: "/",
  headers: { host: "localhost" },
  ...over,
});

test("a request is its head and its body, with the length of its bytes", () => {
  const text = (over: Partial<HttpRequest>): string =>
    requestMessage(request(over), "/").toString("latin1");
  expect(text({ body: "é" })).toBe(
    "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\nÃ©",
  );
  expect(text({ body: Uint8Array.of(65), headers: { "Content-Length": "1" } })).toBe(
    "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nA",
  );
  expect(text({})).toContain("content-length: 0\r\n");
  expect(text({ method: "GET" })).not.toContain("content-length");
});

test("nothing in a request ends its head, or begins another request", () => {
  const unsafe = fc.constantFrom("\r", "\n", "\0", "\r\n", "\u010d\u010a");
  fc.assert(
    fc.property(fc.string(), unsafe, fc.string(), (before, mark, after) => {
      const text = `${before}${mark}${after}`;
      expect(() => requestMessage(request({ headers: { "x-a": text } }), "/")).toThrow(TypeError);
      expect(() => requestMessage(request({ headers: { [text]: "1" } }), "/")).toThrow(TypeError);
      expect(() => requestMessage(request(), `/${text}`)).toThrow(TypeError);
    }),
  );
});

test.each([
  ["a method with a line's end", { method: "GET / HTTP/1.1\r\nx: y\r\n\r\nPOST" }],
  ["a header's name with a colon", { headers: { "x:y": "z" } }],
  ["a header without a name", { headers: { "": "z" } }],
  ["a length that ends before its body", { headers: { "Content-Length": "1" }, body: "ab" }],
  ["a length that ends after its body", { headers: { "content-length": "3" }, body: "ab" }],
  ["a length that is none", { headers: { "content-length": "" } }],
])("a request with %s is not sent", (_what, over) => {
  expect(() => requestMessage(request(over), "/")).toThrow(TypeError);
});

test("a query is written as it was signed", () => {
  const query = { a: "b c", list: ["1", "2"], empty: null, "ö*": "(!)" };
  expect(pathOf(request({ path: "/x", query }))).toBe(
    "/x?a=b%20c&list=1&list=2&empty&%C3%B6%2A=%28%21%29",
  );
});

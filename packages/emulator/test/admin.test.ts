import { EventEmitter, once } from "node:events";
import { ListStreamsCommand } from "@aws-sdk/client-kinesis";
import { expect, it, onTestFinished } from "vitest";
import {
  type Emulator,
  type EmulatorOptions,
  FakeClock,
  type RequestLogEntry,
  startEmulator,
} from "../src/index.ts";
import { formatLogEntry } from "../src/http/request-log.ts";

async function start(options: EmulatorOptions = {}): Promise<Emulator> {
  const emulator = await startEmulator({ streams: { s: 1 }, ...options });
  onTestFinished(() => emulator.close());
  return emulator;
}

async function admin(emulator: Emulator, method: string, path: string, body?: object) {
  const response = await fetch(emulator.url + path, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const list = (emulator: Emulator): Promise<Response> =>
  fetch(emulator.url, {
    method: "POST",
    headers: {
      "content-type": "application/x-amz-json-1.1",
      "x-amz-target": "Kinesis_20131202.ListStreams",
    },
    body: "{}",
  });

it.each(["/", "/health", "/health?from=compose"])("GET %s says that it is well", async (path) => {
  const emulator = await start();
  expect(await admin(emulator, "GET", path)).toEqual({
    status: 200,
    body: { status: "ok", streams: ["s"] },
  });
});

it("plans faults and takes them back", async () => {
  const emulator = await start();
  const rule = {
    fault: "fail",
    error: "LimitExceededException",
    operation: "ListStreams",
    call: 2,
  };
  expect((await admin(emulator, "POST", "/_emulator/faults", rule)).status).toBe(200);
  expect([(await list(emulator)).status, (await list(emulator)).status]).toEqual([200, 400]);
  await admin(emulator, "POST", "/_emulator/faults", { fault: "htmlError", times: 9 });
  expect((await list(emulator)).status).toBe(503);
  await admin(emulator, "DELETE", "/_emulator/faults");
  expect((await list(emulator)).status).toBe(200);
});

it("changes the latency of the calls that follow", async () => {
  const clock = new FakeClock();
  const emulator = await start({ clock });
  await admin(emulator, "PUT", "/_emulator/latency", { ms: 500 });
  let isOver = false;
  const call = emulator.kinesis.send(new ListStreamsCommand({})).then(() => (isOver = true));
  await clock.advance(499);
  expect(isOver).toBe(false);
  await clock.advance(1);
  await call;
});

it("shows the calls, and forgets them", async () => {
  const emulator = await start();
  await list(emulator);
  const { body } = await admin(emulator, "GET", "/_emulator/calls");
  expect(body).toMatchObject({
    counts: { ListStreams: 1 },
    latest: [{ operation: "ListStreams", input: {} }],
  });
  await admin(emulator, "DELETE", "/_emulator/calls");
  expect(emulator.kinesis.calls).toEqual([]);
});

it.each([
  ["POST", "/_emulator/faults", { fault: "explode" }, 400, "fault: one of fail"],
  ["POST", "/_emulator/faults", { fault: "fail", error: "No" }, 400, "unknown service error"],
  ["POST", "/_emulator/faults", [], 400, "fault: one of fail"],
  ["PUT", "/_emulator/latency", { ms: -1 }, 400, "latency: milliseconds from 0"],
  ["PUT", "/_emulator/latency", {}, 400, "ms: a number"],
  ["GET", "/_emulator/other", undefined, 404, "POST /_emulator/faults"],
])("refuses %s %s %j and says what there is", async (method, path, body, status, message) => {
  const reply = await admin(await start(), method, path, body);
  expect(reply.status).toBe(status);
  expect(reply.body["message"]).toContain(message);
});

it("is for this machine alone, as the streams are", async () => {
  const emulator = await start();
  const response = await fetch(`${emulator.url}/_emulator/faults`, {
    method: "DELETE",
    headers: { origin: "https://page.example" },
  });
  expect(response.status).toBe(403);
});

it("hands each request that is over to onRequest", async () => {
  const entries: RequestLogEntry[] = [];
  const log = new EventEmitter();
  const emulator = await start({ onRequest: (entry) => log.emit(`${entries.push(entry)} over`) });
  const bothOver = once(log, "2 over");
  const response = await fetch(emulator.url, {
    method: "POST",
    headers: {
      "content-type": "application/x-amz-json-1.1",
      "x-amz-target": "Kinesis_20131202.DescribeStreamSummary",
    },
    body: '{"StreamName":"missing"}',
  });
  const body = await response.text();
  emulator.kinesis.faults.drop();
  await list(emulator).catch(() => "the connection broke");
  await bothOver;
  expect(entries).toMatchObject([
    {
      operation: "DescribeStreamSummary",
      status: 400,
      error: "ResourceNotFoundException",
      replyBytes: body.length,
    },
    { operation: "ListStreams", status: 0, error: undefined, replyBytes: 0 },
  ]);
  const line = { ...entries[0]!, at: 0, ms: 1.23, replyBytes: 9 };
  expect(formatLogEntry(line)).toBe(
    "1970-01-01T00:00:00.000Z DescribeStreamSummary 400 ResourceNotFoundException 1.2 ms 9 bytes",
  );
});

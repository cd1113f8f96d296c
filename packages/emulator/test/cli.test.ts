import { describe, expect, it } from "vitest";
import { parseCommandLine, UsageError } from "../src/cli.ts";

describe("the command line", () => {
  it("has defaults: port 4567 of this machine alone, no streams, all quotas", () => {
    expect(parseCommandLine([])).toEqual({
      port: 4567,
      host: "127.0.0.1",
      streams: {},
      quotas: { reads: true, writes: true },
    });
  });

  it("takes port, host, streams and quotas", () => {
    const args = ["--port", "0", "--host", "::1", "--streams", "orders:4,clicks:2"];
    expect(parseCommandLine([...args, "--quotas=reads"])).toEqual({
      port: 0,
      host: "::1",
      streams: { orders: 4, clicks: 2 },
      quotas: { reads: true, writes: false },
    });
  });

  it("asks for help", () => {
    expect(parseCommandLine(["--help"])).toBeUndefined();
  });

  it.each([
    [["--port", "http"], "--port: a number from 0 to 65535, not 'http'"],
    [["--port", "65536"], "--port"],
    [["--streams", "orders"], "name:shards"],
    [["--streams", "orders:0"], "--streams orders: a number from 1"],
    [["--streams", "a b:1"], "name:shards"],
    [["--streams", "a:1,a:2"], "'a' is there twice"],
    [["--quotas", "some"], "--quotas"],
    [["--shards", "1"], "--shards"],
    [["orders"], "orders"],
  ])("refuses %j", (args, message) => {
    expect(() => parseCommandLine(args)).toThrow(UsageError);
    expect(() => parseCommandLine(args)).toThrow(message);
  });
});

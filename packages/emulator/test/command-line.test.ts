import { describe, expect, it } from "vitest";
import { parseCommandLine, usage } from "../src/cli/command-line.ts";
import { settings } from "../src/cli/settings.ts";
import { UsageError } from "../src/cli/usage-error.ts";

describe("the command line", () => {
  it("has defaults: port 4567, and those of the server", () => {
    expect(parseCommandLine([])).toEqual({ options: { port: 4567 }, faults: [], log: false });
  });

  it("takes what the server takes, and faults", () => {
    const args = ["--port", "0", "--host", "::1", "--streams", "orders:4,clicks:2", "--log"];
    const service = [
      "--region=eu-west-1",
      "--account=123456789012",
      "--quotas=reads,control-plane",
    ];
    const times = ["--transition=500", "--listing-lag=50", "--latency=10", "--bandwidth=1000"];
    const faults = "fail,error=InternalFailure,chance=0.05; hang,operation=GetRecords,call=9";
    const rest = ["--faults", faults, "--snapshot", "streams.kc"];
    expect(parseCommandLine([...args, ...service, ...times, ...rest])).toEqual({
      options: {
        port: 0,
        host: "::1",
        streams: { orders: 4, clicks: 2 },
        region: "eu-west-1",
        account: "123456789012",
        quotas: { reads: true, writes: false, controlPlane: true },
        transitionMs: 500,
        listingLagMs: 50,
        latency: 10,
        bandwidth: 1000,
        snapshot: "streams.kc",
      },
      faults: [
        { fault: "fail", error: "InternalFailure", chance: "0.05" },
        { fault: "hang", operation: "GetRecords", call: "9" },
      ],
      log: true,
    });
  });

  it("takes each option from the environment too; an option comes first", () => {
    const environment = {
      KC_EMULATOR_STREAMS: "orders:4",
      KC_EMULATOR_LISTING_LAG: "7",
      KC_EMULATOR_PORT: "1",
      KC_EMULATOR_LOG: "true",
    };
    expect(parseCommandLine(["--port=2"], environment)).toEqual({
      options: { port: 2, streams: { orders: 4 }, listingLagMs: 7 },
      faults: [],
      log: true,
    });
    expect(() => parseCommandLine([], { KC_EMULATOR_PORT: "http" })).toThrow(
      "KC_EMULATOR_PORT: a number from 0 to 65535, not 'http'",
    );
  });

  it.each(["--help", "-h"])("asks for help by %s, which has every option", (flag) => {
    expect(parseCommandLine(["--port=x", flag])).toBe("help");
    for (const { flag: each } of settings) expect(usage).toContain(`--${each} `);
  });

  it.each(["--version", "-v"])("asks for the version by %s", (flag) => {
    expect(parseCommandLine([flag])).toBe("version");
  });

  it.each([
    [["--port", "http"], "--port: a number from 0 to 65535, not 'http'"],
    [["--port", "65536"], "--port"],
    [["--host="], "--host: an address, not ''"],
    [["--streams", "orders"], "name:shards"],
    [["--streams", "orders:0"], "--streams: a number from 1"],
    [["--streams", "a b:1"], "name:shards"],
    [["--streams", "a:1,a:2"], "'a' is there twice"],
    [["--quotas", "some"], "--quotas: one of reads, writes, control-plane, not 'some'"],
    [["--account", "1"], "--account: 12 digits, not '1'"],
    [["--latency", "-1"], "--latency"],
    [["--faults", "explode"], "--faults: fault: one of fail, drop,"],
    [["--faults", "fail,error=NoSuchError"], "unknown service error 'NoSuchError'"],
    [["--faults", "drop,chance=2"], "chance: above 0 and up to 1"],
    [["--faults", "drop,when=never"], "drop has takesEffect, operation"],
    [["--faults", "drop,operation=CreateQueue"], "operation: one that the emulator serves"],
    [["--shards", "1"], "--shards"],
    [["orders"], "orders"],
  ])("refuses %j", (args, message) => {
    expect(() => parseCommandLine(args)).toThrow(UsageError);
    expect(() => parseCommandLine(args)).toThrow(message);
  });
});

import type { EmulatorOptions } from "./emulator.ts";
import type { FakeKinesisOptions } from "./fake-kinesis.ts";

const OF_A_FAKE: Readonly<Record<keyof FakeKinesisOptions, true>> = {
  account: true,
  bandwidth: true,
  clock: true,
  emptyPagesWhileBehind: true,
  latency: true,
  listingLagMs: true,
  maxRecordsPerPage: true,
  omitChildShards: true,
  quotas: true,
  random: true,
  region: true,
  streams: true,
  transitionMs: true,
  trimmedSequenceNumbers: true,
};

const OF_A_SERVER: Readonly<Record<keyof EmulatorOptions, true>> = {
  ...OF_A_FAKE,
  host: true,
  port: true,
};

/** Throws RangeError for an option that there is not: a typo would pass for the default. */
export function checkNames(of: "FakeKinesis" | "startEmulator", options: object): void {
  const names = of === "FakeKinesis" ? OF_A_FAKE : OF_A_SERVER;
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(names, name)) continue;
    throw new RangeError(
      `${of}: there is no option '${name}', only ${Object.keys(names).join(", ")}`,
    );
  }
}

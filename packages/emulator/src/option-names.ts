import type { EmulatorOptions, FakeKinesisOptions } from "./options.ts";

const FAKE_OPTIONS: Readonly<Record<keyof FakeKinesisOptions, true>> = {
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

const SERVER_OPTIONS: Readonly<Record<keyof EmulatorOptions, true>> = {
  ...FAKE_OPTIONS,
  host: true,
  onRequest: true,
  port: true,
  snapshot: true,
};

/**
 * Checks that the options have known names only. A misspelled option would be ignored, and its default used.
 * @throws TypeError if `options` is not an object, RangeError for an unknown option
 */
export function checkNames(of: "FakeKinesis" | "startEmulator", options: unknown): void {
  const names = Object.keys(of === "FakeKinesis" ? FAKE_OPTIONS : SERVER_OPTIONS);
  if (typeof options !== "object" || options === null) {
    const given = options === null ? "null" : typeof options;
    throw new TypeError(`${of} takes an object, not ${given}; its members are ${names.join(", ")}`);
  }
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue;
    const meant = names.find((each) => beginAlike(each, name));
    const hint = meant === undefined ? "" : ` Did you mean '${meant}'?`;
    throw new RangeError(`${of}: there is no option '${name}', only ${names.join(", ")}.${hint}`);
  }
}

const LETTERS_COMPARED = 4;

function beginAlike(a: string, b: string): boolean {
  const start = (name: string): string => name.slice(0, LETTERS_COMPARED).toLowerCase();
  return start(a) === start(b);
}

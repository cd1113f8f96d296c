import { parseArgs } from "node:util";
import { type Setting, type Settings, settings } from "./settings.ts";
import { UsageError } from "./usage-error.ts";

/** The environment variable of a setting: `KC_EMULATOR_LISTING_LAG` for `--listing-lag`. */
export function variableOf(flag: string): string {
  return `KC_EMULATOR_${flag.toUpperCase().replaceAll("-", "_")}`;
}

const synopsisOf = ({ flag, argument }: Setting): string =>
  argument === undefined ? `--${flag}` : `--${flag} <${argument}>`;

export const usage: string = `Usage: kc-emulator [options]

Amazon Kinesis Data Streams in memory, for every client of AWS.

${settings.map((setting) => `  ${synopsisOf(setting).padEnd(20)} ${setting.help}`).join("\n")}
  -v, --version        the version
  -h, --help           this text

Each option is also an environment variable: ${variableOf("port")} is --port. An option
takes precedence over its variable.
`;

type Command = "help" | "version" | Settings;

/** Reads the command line and the environment. Throws UsageError. */
export function parseCommandLine(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = {},
): Command {
  const values = parse(args);
  if (values["help"] === true) return "help";
  if (values["version"] === true) return "version";
  const parts = settings.flatMap(({ flag, read }) => {
    const variable = variableOf(flag);
    const given = values[flag];
    const name = given === undefined ? variable : `--${flag}`;
    const text = given === undefined ? environment[variable] : `${given}`;
    return text === undefined ? [] : [readAs(name, () => read(text))];
  });
  return {
    options: Object.assign({ port: 4567 }, ...parts.map(({ options }) => options)),
    faults: parts.flatMap(({ faults = [] }) => faults),
    log: parts.some(({ log }) => log === true),
  };
}

function readAs<Value>(name: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    throw new UsageError(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function parse(args: readonly string[]): Readonly<Record<string, string | boolean | undefined>> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        ...Object.fromEntries(
          settings.map(({ flag, argument }) => [
            flag,
            { type: argument === undefined ? ("boolean" as const) : ("string" as const) },
          ]),
        ),
        version: { type: "boolean", short: "v" },
        help: { type: "boolean", short: "h" },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

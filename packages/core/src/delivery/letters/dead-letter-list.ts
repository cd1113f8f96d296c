import { ConfigError } from "../../errors.ts";
import { checkOptionNames } from "../../options/option-names.ts";
import { checkWholeNumber } from "../../options/option-values.ts";
import type { DeadLetterListOptions } from "./dead-letter.ts";

const LIMITS = { min: 1, max: 1000 };

/** The options of `list`, checked and with their defaults. @throws ConfigError that names the option */
export function checkListOptions(options: DeadLetterListOptions): {
  readonly application: string | undefined;
  readonly limit: number;
  readonly after: string | undefined;
} {
  checkOptionNames("list()", options, ["application", "limit", "after"]);
  const { application, limit = 100, after } = options;
  for (const [name, value] of Object.entries({ application, after })) {
    if (value === undefined || typeof value === "string") continue;
    throw new ConfigError(name, `must be a text, not a ${typeof value}`);
  }
  return { application, limit: checkWholeNumber("limit", limit, LIMITS), after };
}

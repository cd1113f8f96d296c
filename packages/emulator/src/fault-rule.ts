import type { OperationName } from "./api/operation-types.ts";
import type { ServiceErrorName } from "./errors.ts";
import type { Faults } from "./faults.ts";
import { isOperationName } from "./operations/operations.ts";

/** A planned fault as data: a method of `Faults`, and that method's members. */
export type FaultRule = Readonly<Record<string, unknown>>;

/** Which members each fault has beside those that all have. */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  fail: ["error", "takesEffect"],
  drop: ["takesEffect"],
  htmlError: ["status", "takesEffect"],
  hang: ["takesEffect"],
  delay: ["ms"],
  blackHole: ["ms"],
};
const TARGET = ["operation", "call", "times", "chance"];

/** Throws RangeError or TypeError for a rule that makes no sense; nothing is planned then. */
export function planFault(faults: Faults, rule: FaultRule): void {
  const { fault, ...members } = rule;
  if (typeof fault !== "string" || !Object.hasOwn(MEMBERS, fault)) {
    throw new RangeError(`fault: one of ${Object.keys(MEMBERS).join(", ")}, not ${String(fault)}`);
  }
  const known = [...MEMBERS[fault]!, ...(fault === "blackHole" ? [] : TARGET)];
  for (const name of Object.keys(members)) {
    if (!known.includes(name)) throw new RangeError(`${fault} has ${known.join(", ")}, no ${name}`);
  }
  const operation = members["operation"];
  if (operation !== undefined && !(typeof operation === "string" && isOperationName(operation))) {
    throw new RangeError(
      `operation: one that the emulator serves, not ${JSON.stringify(operation)}`,
    );
  }
  const target = {
    ...members,
    ...number(members, "call"),
    ...number(members, "times"),
    ...number(members, "chance"),
  } as { operation?: OperationName; takesEffect?: boolean };
  switch (fault) {
    case "fail":
      faults.fail({ ...target, error: String(members["error"]) as ServiceErrorName });
      break;
    case "htmlError":
      faults.htmlError({ ...target, ...number(members, "status") });
      break;
    case "delay":
      faults.delay({ ...target, ms: Number(members["ms"]) });
      break;
    case "blackHole":
      faults.blackHole({ ms: Number(members["ms"]) });
      break;
    default:
      faults[fault as "drop" | "hang"](target);
  }
}

/** A member that is a number, and undefined nowhere. */
function number(members: FaultRule, name: string): Record<string, number> {
  return name in members ? { [name]: Number(members[name]) } : {};
}

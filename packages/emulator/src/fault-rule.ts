import type { OperationName } from "./api/operation-types.ts";
import type { ServiceErrorName } from "./errors.ts";
import type { Faults } from "./faults.ts";
import { isOperationName } from "./operations/operations.ts";

/** A fault as data: the name of a method of `Faults` as `fault`, and the members of its argument. */
export type FaultRule = Readonly<Record<string, unknown>>;

/** The members of each fault in addition to `TARGET`. */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  fail: ["error", "takesEffect"],
  drop: ["takesEffect"],
  htmlError: ["status", "takesEffect"],
  hang: ["takesEffect"],
  delay: ["ms"],
  blackHole: ["ms"],
};
const TARGET = ["operation", "call", "times", "chance"];

/** Plans a fault. @throws RangeError or TypeError for an invalid rule, which plans nothing */
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

/** The member converted to a number; no member if it is absent. */
function number(members: FaultRule, name: string): Record<string, number> {
  return name in members ? { [name]: Number(members[name]) } : {};
}

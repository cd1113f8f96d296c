import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Measured, Measurement } from "./child.ts";

/** `onWarm` is awaited at the beginning of the steady state. */
export async function measure(
  measurement: Measurement,
  onWarm: () => Promise<void> = async () => {},
): Promise<Measured> {
  const program = fileURLToPath(new URL("child.js", import.meta.url));
  const child = fork(program, [JSON.stringify(measurement)], {
    execArgv: ["--expose-gc", "--no-warnings"],
  });
  await once(child, "message");
  await onWarm();
  const [measured] = (await once(child, "message")) as [Measured];
  await once(child, "exit");
  return measured;
}

export function rounded(value: number): number {
  return Number(value.toFixed(2));
}

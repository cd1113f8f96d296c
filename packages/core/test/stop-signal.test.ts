import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stopSignal } from "../src/index.ts";

/** Real processes and real signals. */
let program: string;
let directory: string;

beforeAll(async () => {
  const parent = fileURLToPath(new URL("../node_modules/.kc-test", import.meta.url));
  mkdirSync(parent, { recursive: true });
  directory = mkdtempSync(join(parent, "stop-"));
  program = join(directory, "child.mjs");
  const bundle = await rolldown({
    input: fileURLToPath(new URL("support/stop-child.ts", import.meta.url)),
    platform: "node",
  });
  await bundle.write({ file: program, format: "esm" });
  await bundle.close();
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

test.each(["SIGTERM", "SIGINT"] as const)(
  "the first %s aborts and ends nothing, a second one ends the process at once",
  async (first) => {
    const said = await run("busy", {
      ready: first,
      [`the process got ${first}, 0 listeners`]: "SIGTERM",
    });
    expect(said).toEqual({
      lines: ["ready", `the process got ${first}, 0 listeners`],
      ended: [null, "SIGTERM"],
    });
  },
);

test("a second one of another name ends the process too", async () => {
  const aborted = "the process got SIGTERM, 0 listeners";
  const said = await run("busy", { ready: "SIGTERM", [aborted]: "SIGINT" });
  expect(said.ended).toEqual([null, "SIGINT"]);
});

test("only the signals that were asked for abort", async () => {
  const aborted = "the process got SIGHUP, 0 listeners";
  expect((await run("hup", { ready: "SIGHUP", [aborted]: "SIGHUP" })).lines).toContain(aborted);
  expect(await run("hup", { ready: "SIGTERM" })).toEqual({
    lines: ["ready"],
    ended: [null, "SIGTERM"],
  });
});

test("it keeps no process alive", async () => {
  expect(await run("idle", {})).toEqual({ lines: ["ready"], ended: [0, null] });
});

test.each([[[]], [["SIGKILL"]], [["TERM"]], ["SIGTERM"], [null]])(
  "signals of %j are refused, and nothing is listened to",
  (signals) => {
    const before = process.listenerCount("SIGTERM");
    expect(() => stopSignal({ signals: signals as never })).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID", option: "signals" }),
    );
    expect(process.listenerCount("SIGTERM")).toBe(before);
  },
);

/** Runs the program, and answers a line with a signal. */
async function run(
  what: "busy" | "hup" | "idle",
  answers: Readonly<Record<string, NodeJS.Signals>>,
): Promise<{ lines: string[]; ended: unknown[] }> {
  const child = spawn(process.execPath, [program, what], {
    stdio: ["ignore", "pipe", "inherit"],
    // A process that does not end is a failure, not a wait for ever.
    timeout: 120_000,
    killSignal: "SIGKILL",
  });
  const exit = once(child, "exit");
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    const answer = answers[line];
    if (answer) child.kill(answer);
  }
  return { lines, ended: await exit };
}

test("one signal may stop any number of consumers: Node sees no leak in it", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on("warning", onWarning);
  const signal = stopSignal({ signals: ["SIGUSR2"] });
  for (let consumers = 0; consumers < 11; consumers += 1)
    signal.addEventListener("abort", () => {});
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", onWarning);
  process.removeAllListeners("SIGUSR2");
  expect(warnings).toEqual([]);
});

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { startEmulator } from "@kc/emulator";
import { expect, onTestFinished, test } from "vitest";

const run = promisify(execFile);
const emulator = new URL("../../emulator/", import.meta.url);
const bin = fileURLToPath(new URL("dist/bin.js", emulator));

test("kc-emulator prints its version and its help", async () => {
  const { version } = JSON.parse(readFileSync(new URL("package.json", emulator), "utf8")) as {
    version: string;
  };
  expect((await run(process.execPath, [bin, "-v"])).stdout).toBe(`${version}\n`);
  expect((await run(process.execPath, [bin, "-h"])).stdout).toContain("Usage: kc-emulator");
});

test("kc-emulator lists its streams and how clients are connected, logs requests, and keeps its streams", async () => {
  const directory = mkdtempSync(join(tmpdir(), "kc-emulator-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const snapshot = join(directory, "streams");
  const args = ["--port=0", "--streams=orders:4", `--snapshot=${snapshot}`];
  const child = spawn(process.execPath, [bin, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, KC_EMULATOR_LOG: "true" },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  while (!output.includes("/health")) await once(child.stdout, "data");
  const url = /http:\S+/.exec(output)![0];
  expect(output).toContain("orders:4");
  expect(output).toContain(`aws --endpoint-url ${url} --region us-east-1 kinesis list-streams`);
  expect(await (await fetch(`${url}/health`)).json()).toEqual({
    status: "ok",
    streams: ["orders"],
  });
  while (!output.includes("GET /health 200")) await once(child.stdout, "data");
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(existsSync(snapshot)).toBe(true);
});

test("the container's health check asks the port that the environment names", async () => {
  const dockerfile = readFileSync(new URL("Dockerfile", emulator), "utf8");
  const [, script] = /HEALTHCHECK [^\n]*\\\n\s*CMD node -e "(.*)"\n/.exec(dockerfile)!;
  const health = (port: number) =>
    run(process.execPath, ["-e", script!], { env: { KC_EMULATOR_PORT: String(port) } });
  const running = await startEmulator();
  await health(running.port);
  await running.close();
  await expect(health(running.port)).rejects.toMatchObject({ code: 1 });
});

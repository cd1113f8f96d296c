import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const BUILT = new URL("../dist/index.js", import.meta.url).href;
const CORE = new URL("../../core/dist/index.js", import.meta.url).href;

/** Which package of the SDK is imported first, by what is imported; "none" = none is. */
async function firstOfTheSdk(module: string): Promise<string> {
  const hooks = `export const resolve = (name, context, next) => {
    if (name.startsWith("@aws-sdk/")) throw new Error(name);
    return next(name, context);
  };`;
  const program = `
    import { register } from "node:module";
    register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)});
    const found = await import(${JSON.stringify(module)}).then(() => "none", (error) => error.message);
    console.log(found);`;
  const args = ["--no-warnings", "--input-type=module", "--eval", program];
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd });
  return stdout.trim();
}

test("a cold start loads no AWS SDK", async () => {
  expect(await firstOfTheSdk(BUILT)).toBe("none");
  // The question is asked rightly: a consumer needs it.
  expect(await firstOfTheSdk(CORE)).toBe("@aws-sdk/client-kinesis");
});

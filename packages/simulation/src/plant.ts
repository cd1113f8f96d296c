import { register } from "node:module";
import { env } from "node:process";
import { PLANTED_BUGS } from "./planted-bugs.ts";

/** `node --import ./dist/plant.js dist/main.js` with `SIM_BUG` runs stories with that bug. */
const name = env["SIM_BUG"] ?? "";
const edits = PLANTED_BUGS[name];
if (edits === undefined) throw new Error(`SIM_BUG: there is no bug "${name}"`);
register("./plant-hooks.js", import.meta.url, { data: edits });

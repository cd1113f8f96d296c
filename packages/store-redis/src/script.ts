import { createHash } from "node:crypto";

/**
 * All Lua scripts of the store. Whatever is read or written is read or written by one of them, so
 * each step is atomic, and none can be sent to a replica of a cluster.
 */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

export function script(...parts: readonly string[]): Script {
  const lua = parts.join("\n");
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}

import { KcError, StoreError, type CallOptions } from "@kc/core";
import type { Connection } from "./connection.ts";

/**
 * Refuses a server that may evict any key when memory runs short, because it would evict checkpoints. A server without a
 * memory limit, or whose INFO is not available, is accepted.
 * @throws StoreError STORE_FAILED
 */
export async function refuseEviction(
  connection: Connection,
  options: CallOptions | undefined,
): Promise<void> {
  for (const text of await infoOf(connection, options)) {
    const policy = /^maxmemory_policy:(\S+)/m.exec(text)?.[1] ?? "";
    const limit = /^maxmemory:(\d+)/m.exec(text)?.[1] ?? "0";
    if (limit === "0" || !policy.startsWith("allkeys-")) continue;
    throw new StoreError(
      "STORE_FAILED",
      `Redis has maxmemory-policy ${policy}: it deletes checkpoints when memory runs short. Set ` +
        "noeviction, or a policy that begins with volatile-, or use another server",
    );
  }
}

async function infoOf(
  connection: Connection,
  options: CallOptions | undefined,
): Promise<readonly string[]> {
  try {
    return await connection.info("memory", options);
  } catch (error) {
    // This user may not run INFO: the policy is unknown, and the store works without it.
    if (KcError.is(error) && error.code === "STORE_ACCESS_DENIED") return [];
    throw error;
  }
}

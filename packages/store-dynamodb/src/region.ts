import { ConfigError } from "@kc/core";
import type { DynamoDBClientLike } from "./options.ts";

/** Where a client sends its requests; undefined = it does not say, or has none. */
export async function regionOf(client: DynamoDBClientLike): Promise<string | undefined> {
  const { region } = (client as { config?: { region?: unknown } }).config ?? {};
  try {
    const value: unknown = typeof region === "function" ? await region() : region;
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined; // the request fails by the same, and says so
  }
}

export const isArn = (table: string): boolean => table.startsWith("arn:");

/** @throws ConfigError if the table's ARN names another Region than the client's: no request gets there. */
export async function checkRegion(arn: string, client: DynamoDBClientLike): Promise<void> {
  const [, , , region] = arn.split(":");
  const own = await regionOf(client);
  if (own === undefined || own === region) return;
  throw new ConfigError(
    "table",
    `is in ${region} by its ARN, and the client sends its requests to ${own}: give one a client of ${region}`,
  );
}

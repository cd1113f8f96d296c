import { ConfigError } from "@kc/core";
import { sdkTarget } from "@kc/core/adapter";
import type { DynamoDBClientLike } from "./options.ts";

export const isArn = (table: string): boolean => table.startsWith("arn:");

/** @throws ConfigError if the table's ARN names another Region than the client's, which cannot reach the table */
export async function checkRegion(arn: string, client: DynamoDBClientLike): Promise<void> {
  const [, , , region] = arn.split(":");
  const { region: own } = await sdkTarget(client);
  if (own === undefined || own === region) return;
  throw new ConfigError(
    "table",
    `is in ${region} by its ARN, and the client sends its requests to ${own}: give one a client of ${region}`,
  );
}

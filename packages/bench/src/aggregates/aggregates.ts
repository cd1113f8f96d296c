import { compareAlone } from "./alone.ts";
import { comparePacking } from "./packing.ts";
import { compareReading } from "./reading.ts";

/**
 * What a user record of an aggregate costs: in a whole consumer, beside the same records not aggregated; alone,
 * beside another library; and what packing them costs.
 */
export async function benchAggregates(): Promise<object> {
  console.error("reading");
  const reading = await compareReading();
  console.error("alone");
  const alone = await compareAlone();
  console.error("packing");
  return { reading, alone, packing: await comparePacking() };
}

import { setTimeout as sleep } from "node:timers/promises";
import type { ConsumerRecord } from "@kc/core";

/**
 * The number of slow seconds in each 20 seconds. The lag grows in this time, as the dashboard
 * shows.
 */
const SLOW_SECONDS = 5;

/** Represents your work: a call to a service that is sometimes slow. */
export async function handle({ approximateArrivalTimestamp }: ConsumerRecord): Promise<void> {
  const second = Math.floor(approximateArrivalTimestamp.getTime() / 1000) % 20;
  await sleep(second < SLOW_SECONDS ? 20 : 1);
}

import { setTimeout as sleep } from "node:timers/promises";
import type { ConsumerRecord } from "@kc/core";

/** Of each 20 seconds, this many are slow. The lag grows meanwhile, which the dashboard shows. */
const SLOW_SECONDS = 5;

/** Stands for your work: a call to another service, which has its slow moments. */
export async function handle({ approximateArrivalTimestamp }: ConsumerRecord): Promise<void> {
  const second = Math.floor(approximateArrivalTimestamp.getTime() / 1000) % 20;
  await sleep(second < SLOW_SECONDS ? 20 : 1);
}

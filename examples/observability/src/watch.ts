import { setTimeout as sleep } from "node:timers/promises";
import type { ConsumerStatus } from "@kc/core";
import { Overview, type WorkerAnswer } from "./overview.ts";

/** Polls the workers' status once a second, until the signal aborts. */
export function watch(
  workers: readonly Pick<WorkerAnswer, "name" | "pid" | "url">[],
  signal: AbortSignal,
): Overview {
  const overview = new Overview();
  void (async () => {
    while (!signal.aborted) {
      overview.take(Date.now(), await Promise.all(workers.map(ask)));
      await sleep(1000, undefined, { signal }).catch(() => undefined);
    }
  })();
  return overview;
}

/** A worker that hangs is treated like one that was killed. */
async function ask(worker: Pick<WorkerAnswer, "name" | "pid" | "url">): Promise<WorkerAnswer> {
  try {
    const get = (path: string): Promise<Response> =>
      fetch(worker.url + path, { signal: AbortSignal.timeout(1000) });
    const [status, metrics] = await Promise.all([get("/status"), get("/metrics")]);
    const lines = (await metrics.text()).matchAll(/^kinesis_records_total\{.*\} (\S+)$/gm);
    const records = [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
    return { ...worker, status: (await status.json()) as ConsumerStatus, records };
  } catch {
    // Killed, stopped, or not started yet: the page shows "no answer".
    return { ...worker, status: undefined, records: undefined };
  }
}

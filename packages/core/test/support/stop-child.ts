import { stopSignal } from "../../src/stop-signal.ts";

/**
 * A program whose handler never ends once it was asked to stop, and one that has nothing to do. It
 * prints what its signal says.
 */
const [, , what] = process.argv;
const print = (text: string): void => void process.stdout.write(`${text}\n`);

const signal = stopSignal(what === "hup" ? { signals: ["SIGHUP"] } : {});
signal.addEventListener("abort", () => {
  const listening = process.listenerCount("SIGTERM") + process.listenerCount("SIGINT");
  print(`${(signal.reason as Error).message}, ${listening} listeners`);
});
if (what !== "idle") setInterval(() => {}, 1000);
print("ready");

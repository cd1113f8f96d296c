import { setMaxListeners } from "node:events";
import { constants } from "node:os";
import { inspect } from "node:util";
import { ConfigError } from "./errors.ts";
import { checkOptionNames } from "./options/option-names.ts";

/** Signals that a process cannot listen to. */
const UNCATCHABLE: ReadonlySet<unknown> = new Set(["SIGKILL", "SIGSTOP"]);

/**
 * Returns an `AbortSignal` that aborts on the first of these process signals, which is how ECS, Kubernetes, systemd
 * and Ctrl-C stop a program. Pass it to `scan`, which then drains and resolves.
 *
 * After the first signal the listeners are removed: a second one has its default effect and ends the process
 * immediately, unless the program has its own listener or is PID 1 of a container, which Linux protects. The
 * listeners do not keep the process alive.
 *
 * @param options `signals`: the signals to listen to. Default SIGTERM and SIGINT
 * @throws ConfigError `signals`, if the list is empty or has a name that cannot be listened to
 */
export function stopSignal(
  options: { readonly signals?: readonly NodeJS.Signals[] } = {},
): AbortSignal {
  checkOptionNames("stopSignal", options, ["signals"]);
  const { signals = ["SIGTERM", "SIGINT"] } = options;
  const isCatchable = (name: unknown): boolean =>
    typeof name === "string" && Object.hasOwn(constants.signals, name) && !UNCATCHABLE.has(name);
  if (!Array.isArray(signals) || signals.length === 0 || !signals.every(isCatchable)) {
    const what = 'must be a list of one or more names such as "SIGTERM"';
    throw new ConfigError("signals", `${what}, not ${inspect(signals)}`);
  }
  const names: readonly NodeJS.Signals[] = [...signals];
  const stopping = new AbortController();
  // One signal may stop any number of consumers, so many listeners are not a leak.
  setMaxListeners(0, stopping.signal);
  const onSignal = (name: NodeJS.Signals): void => {
    for (const each of names) process.off(each, onSignal);
    stopping.abort(new DOMException(`the process got ${name}`, "AbortError"));
  };
  for (const name of names) process.on(name, onSignal);
  return stopping.signal;
}

import { setMaxListeners } from "node:events";
import { constants } from "node:os";
import { inspect } from "node:util";
import { ConfigError } from "./errors.ts";
import { checkOptionNames } from "./options/option-names.ts";

/** What no process can listen to. */
const UNHEARD: ReadonlySet<unknown> = new Set(["SIGKILL", "SIGSTOP"]);

/**
 * An `AbortSignal` that aborts at the first of these process signals: how ECS, Kubernetes, systemd
 * and Ctrl-C stop a program. Hand it to `scan`, which then finishes what is in hand and resolves.
 *
 * Nothing listens any more from then on: a second one acts as without this function, and ends the
 * process at once, unless the program listens by itself or is PID 1 of a container, which Linux
 * spares. It keeps no process alive.
 *
 * @param options `signals`: those to listen to. Default SIGTERM and SIGINT
 * @throws ConfigError `signals`, if the list is empty or names what cannot be listened to
 */
export function stopSignal(
  options: { readonly signals?: readonly NodeJS.Signals[] } = {},
): AbortSignal {
  checkOptionNames("stopSignal", options, ["signals"]);
  const { signals = ["SIGTERM", "SIGINT"] } = options;
  const isHeard = (name: unknown): boolean =>
    typeof name === "string" && Object.hasOwn(constants.signals, name) && !UNHEARD.has(name);
  if (!Array.isArray(signals) || signals.length === 0 || !signals.every(isHeard)) {
    const what = 'must be a list of one or more names such as "SIGTERM"';
    throw new ConfigError("signals", `${what}, not ${inspect(signals)}`);
  }
  const names: readonly NodeJS.Signals[] = [...signals];
  const stopping = new AbortController();
  // One signal may stop any number of consumers: that is no leak.
  setMaxListeners(0, stopping.signal);
  const onSignal = (name: NodeJS.Signals): void => {
    for (const each of names) process.off(each, onSignal);
    stopping.abort(new DOMException(`the process got ${name}`, "AbortError"));
  };
  for (const name of names) process.on(name, onSignal);
  return stopping.signal;
}

import type { Script } from "./script.ts";

/**
 * What the user may not do, for an error's message. A server names a refused command, but up to Redis 7.0 only the line
 * if a script called it. It never names the key or the channel. The message contains their forms, from which an ACL's
 * patterns can be derived, and which do not reveal data.
 */
export function deniedByScript(error: unknown, script: Script, keys: readonly string[]): string {
  const message = error instanceof Error ? error.message : "";
  const named = /run the '([\w|]+)' command/.exec(message)?.[1]?.toUpperCase();
  const commands = named ?? commandsAt(message, script) ?? "EVALSHA";
  return `${commands} on ${keys.map(formOf).join(" and ")}`;
}

export function deniedSubscription(channel: string): string {
  return `SUBSCRIBE to ${formOf(channel)}`;
}

function commandsAt(message: string, { lua }: Script): string | undefined {
  const line = /@user_script: ?(\d+)/.exec(message)?.[1];
  if (line === undefined) return undefined;
  const calls = lua.split("\n")[Number(line) - 1]?.matchAll(/redis\.p?call\('(\w+)'/g) ?? [];
  return [...calls].map(([, command]) => command).join(" or ") || undefined;
}

/** The form of a key: see `ApplicationKeys` and `RedisLetters`. */
function formOf(key: string): string {
  const letters = /\{kc:dead-letters\}\/\w+$/.exec(key)?.[0];
  if (letters !== undefined) return `…${letters}`;
  if (!key.includes(":checkpoint:")) return "a key of the handler's";
  const own = /:kc\/\w+$/.exec(key)?.[0];
  return own === undefined ? "…:checkpoint:…" : `{…:checkpoint:…}${own}`;
}

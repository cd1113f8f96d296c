import { createHash } from "node:crypto";
import type { DeadLetter } from "@kc/core";

const KEY = /-([0-9a-f]{32})\.json$/;
/** The maximum length of an application's name in a key. */
const MAX_NAME_LENGTH = 255;

/**
 * `{prefix}{application}/{stream}/2026/11/28/09/2026-11-28T09:00:00.000Z-{id}.json`. The time is the record's arrival, not
 * the failure: it does not change if another process fails on the same record, so the same letter has the same key. Keys
 * of a stream sort by it.
 */
export function keyOf(prefix: string, letter: DeadLetter): string {
  const { application, streamName, id, approximateArrivalTimestamp } = letter;
  const time = approximateArrivalTimestamp.toISOString();
  const hour = time.slice(0, "yyyy-mm-ddThh".length).replaceAll(/[-T]/g, "/");
  return `${folderOf(prefix, application)}${streamName}/${hour}/${time}-${id}.json`;
}

/** The prefix of an application's keys. */
export function folderOf(prefix: string, application: string): string {
  return `${prefix}${nameInKey(application)}/`;
}

/** The letter's id in a key; `undefined` if the object is not a letter. */
export function idOfKey(key: string): string | undefined {
  return KEY.exec(key)?.[1];
}

/** A name without characters that are special in a console or a shell. A name that is too long is replaced by its hash. */
function nameInKey(application: string): string {
  const name = encodeURIComponent(application).replaceAll(/^\.+$/g, (dots) =>
    "%2E".repeat(dots.length),
  );
  if (name.length <= MAX_NAME_LENGTH) return name;
  return createHash("sha256").update(application).digest("hex");
}

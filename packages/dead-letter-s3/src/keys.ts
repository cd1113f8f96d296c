import { createHash } from "node:crypto";
import type { DeadLetter } from "@kc/core";

const KEY = /-([0-9a-f]{32})\.json$/;
/** Of an application's name in a key. */
const MAX_NAME_LENGTH = 255;

/**
 * `{prefix}{application}/{stream}/2026/11/28/09/2026-11-28T09:00:00.000Z-{id}.json`. The time is the
 * record's arrival, and not its failure's: it stays the same when another process fails with the record
 * again, so the same letter has the same key. Keys of a stream sort by it.
 */
export function keyOf(prefix: string, letter: DeadLetter): string {
  const { application, streamName, id, approximateArrivalTimestamp } = letter;
  const time = approximateArrivalTimestamp.toISOString();
  const hour = time.slice(0, "yyyy-mm-ddThh".length).replaceAll(/[-T]/g, "/");
  return `${folderOf(prefix, application)}${streamName}/${hour}/${time}-${id}.json`;
}

/** What the keys of an application begin with. */
export function folderOf(prefix: string, application: string): string {
  return `${prefix}${nameInKey(application)}/`;
}

/** Undefined = another's object. */
export function idOfKey(key: string): string | undefined {
  return KEY.exec(key)?.[1];
}

/** Without characters that a console or a shell takes for its own; one that is too long goes by its hash. */
function nameInKey(application: string): string {
  const name = encodeURIComponent(application).replaceAll(/^\.+$/g, (dots) =>
    "%2E".repeat(dots.length),
  );
  if (name.length <= MAX_NAME_LENGTH) return name;
  return createHash("sha256").update(application).digest("hex");
}

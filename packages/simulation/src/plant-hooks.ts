import type { LoadHook } from "node:module";
import type { Edit } from "./planted-bugs.ts";

let edits: readonly Edit[] = [];

export function initialize(data: readonly Edit[]): void {
  edits = data;
}

/** Applies the planted bug's edits to a file as it is loaded. */
export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context);
  const own = edits.filter(({ file }) => url.endsWith(`/${file.replace("/", "/dist/")}`));
  if (own.length === 0) return loaded;
  let text = Buffer.from(loaded.source as Uint8Array).toString();
  for (const { file, find, replace } of own) {
    const parts = text.split(find);
    if (parts.length !== 2) throw new Error(`${file}: ${parts.length - 1} times ${find}`);
    text = parts.join(replace);
  }
  return { ...loaded, source: text };
};

import { checkpointAt, formatCheckpoint, type Checkpoint } from "./position.ts";

/**
 * What a store keeps of `ahead` beside a position, pure: the position stands in the text again. Others
 * that write to the store, such as an earlier version of this library, know nothing of it: they move the
 * position, and leave the text as it was.
 */
export function aheadColumn(checkpoint: Checkpoint | undefined): string | undefined {
  if (checkpoint?.kind !== "position" || checkpoint.ahead === undefined) return undefined;
  return `${formatCheckpoint(checkpoint)}:${checkpoint.ahead}`;
}

/** The checkpoint with what the text says, if it belongs to that position. */
export function withAhead(checkpoint: Checkpoint, column: string | null | undefined): Checkpoint {
  if (checkpoint.kind !== "position" || typeof column !== "string") return checkpoint;
  const own = `${formatCheckpoint(checkpoint)}:`;
  return column.startsWith(own) ? checkpointAt(checkpoint, column.slice(own.length)) : checkpoint;
}

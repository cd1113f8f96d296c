import { checkpointAt, formatCheckpoint, type Checkpoint } from "./position.ts";

/**
 * The column in which a store keeps `ahead` beside a position. The text repeats the position: other writers,
 * such as an earlier version of this library, do not know the column, and move the position without changing
 * it. Pure.
 */
export function aheadColumn(checkpoint: Checkpoint | undefined): string | undefined {
  if (checkpoint?.kind !== "position" || checkpoint.ahead === undefined) return undefined;
  return `${formatCheckpoint(checkpoint)}:${checkpoint.ahead}`;
}

/** The checkpoint with the `ahead` in the column, if that belongs to its position. */
export function withAhead(checkpoint: Checkpoint, column: string | null | undefined): Checkpoint {
  if (checkpoint.kind !== "position" || typeof column !== "string") return checkpoint;
  const own = `${formatCheckpoint(checkpoint)}:`;
  return column.startsWith(own) ? checkpointAt(checkpoint, column.slice(own.length)) : checkpoint;
}

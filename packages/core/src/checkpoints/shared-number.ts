import { checkpointAt, type Checkpoint, type Position } from "./position.ts";

/**
 * The sequence number in the column that is shared with programs that know only sequence numbers, such as the
 * Go library. They continue after that number. For a position inside an aggregate it is that of the last
 * whole record, so that they repeat the aggregate. Pure.
 */

/** Stands for a number that is not known. */
export const NO_NUMBER = "0";

/** The shared number of a checkpoint; undefined = not known. */
export function sharedNumber(checkpoint: Checkpoint): string | undefined {
  if (checkpoint.kind === "shard-end" || checkpoint.subSequenceNumber === undefined) {
    return checkpoint.sequenceNumber;
  }
  return checkpoint.wholeSequenceNumber;
}

/** The checkpoint of a position inside an aggregate that was read together with its shared number. */
export function checkpointInside(position: Required<Position>, shared: string): Checkpoint {
  const wholeSequenceNumber = shared === NO_NUMBER ? undefined : shared;
  return checkpointAt({ ...position, wholeSequenceNumber });
}

import { checkpointAt, type Checkpoint, type Position } from "./position.ts";

/**
 * What a store keeps where other programs look that know sequence numbers alone, such as the Go library,
 * pure. They read on after that number, so of a position inside an aggregate it is the number of the last
 * whole record, and they repeat the aggregate.
 */

/** In the place of a number that is not known. */
export const NO_NUMBER = "0";

/** Undefined = not known. */
export function sharedNumber(checkpoint: Checkpoint): string | undefined {
  if (checkpoint.kind === "shard-end" || checkpoint.subSequenceNumber === undefined) {
    return checkpoint.sequenceNumber;
  }
  return checkpoint.wholeSequenceNumber;
}

/** The checkpoint of a position inside an aggregate, as it is read back beside such a number. */
export function checkpointInside(position: Required<Position>, shared: string): Checkpoint {
  const wholeSequenceNumber = shared === NO_NUMBER ? undefined : shared;
  return checkpointAt({ ...position, wholeSequenceNumber });
}

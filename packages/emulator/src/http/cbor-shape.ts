/** A request has at most 500 records of four members; its names and values are counted apart. */
const MOST_VALUES = 20_000;
/** Members of records lie in three. */
const MOST_DEPTH = 16;

const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const TAG = 6;
const INDEFINITE = 31;
const BREAK = 0xff;

/**
 * Looks through CBOR before it is decoded: a value of one byte becomes an object of fifty, and values
 * may lie as deep in each other as the body is long.
 * @throws RangeError for more values, or deeper ones, than any request has
 */
export function checkCborShape(bytes: Uint8Array): void {
  /** How many values are still to come at each depth; Infinity = until a break. */
  const left: number[] = [1];
  let at = 0;
  for (let values = 0; left.length > 0; values += 1) {
    if (values > MOST_VALUES) throw new RangeError("more values than any request has");
    if (left.length > MOST_DEPTH) throw new RangeError("values lie too deep in each other");
    const depth = left.length - 1;
    if (left[depth] === 0) {
      left.pop();
      continue;
    }
    const first = bytes[at];
    if (first === undefined) throw new RangeError("it breaks off");
    at += 1;
    if (first === BREAK) {
      left.pop();
      continue;
    }
    left[depth]! -= 1;
    const type = first >> 5;
    const info = first & 31;
    const size = info < 24 || info === INDEFINITE ? 0 : 2 ** (info - 24);
    let length = info < 24 ? info : 0;
    for (let i = 0; i < size; i += 1) length = length * 256 + (bytes[at + i] ?? 0);
    at += size;
    if (info === INDEFINITE) length = Infinity;
    if (type === BYTES || type === TEXT) {
      // Its chunks are values of their own.
      if (length === Infinity) left.push(Infinity);
      else at += length;
    } else if (type === TAG) left.push(1);
    else if (type === MAP) left.push(2 * length);
    else if (type === ARRAY) left.push(length);
  }
}

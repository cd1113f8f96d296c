import { moduleBytes } from "./module.ts";
import { BLOCK_BYTES, CONSTANTS, INITIAL_STATE, roundOf, shiftOf, wordOf } from "./steps.ts";
import {
  IDLE,
  laneAt,
  LANES,
  MEMORY_PAGES,
  SHORT_LENGTHS,
  SHORT_STARTS,
  shortDigestAt,
  startAt,
  stateAt,
} from "./layout.ts";

/** Digests several messages in parallel, each in a lane of the memory: see `layout.ts`. */
export interface Lanes {
  readonly memory: ArrayBuffer;
  /** Digests this number of blocks in each lane, from its current position. */
  readonly digest: (blocks: number) => void;
  /** Digests short messages, in groups of `LANES`. */
  readonly digestShort: (groups: number) => void;
}

/** The part of WebAssembly that is used. Node's types do not declare it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => {
    readonly exports: {
      readonly memory: { readonly buffer: ArrayBuffer };
      readonly digest: (blocks: number) => void;
      readonly digestShort: (groups: number) => void;
    };
  };
};

/**
 * The steps of one message depend on each other, so digesting eight messages in parallel takes little longer than
 * one: with WebAssembly's vectors, five times as many bytes per second as OpenSSL. Falls back to JavaScript, because
 * Node may run without WebAssembly, or without the address space that it needs.
 */
export function openLanes(): Lanes {
  try {
    return lanesInWebAssembly();
  } catch {
    return lanesInJavaScript();
  }
}

/** @throws if Node runs without WebAssembly */
export function lanesInWebAssembly(): Lanes {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes()));
  const { memory, digest, digestShort } = exports;
  return { memory: memory.buffer, digest, digestShort };
}

/** The same without WebAssembly, one lane after another. */
export function lanesInJavaScript(): Lanes {
  const memory = new ArrayBuffer(MEMORY_PAGES * 65_536);
  const view = new DataView(memory);
  return {
    memory,
    digest(blocks) {
      for (let lane = 0; lane < LANES; lane += 1) {
        const start = view.getUint32(startAt(lane), true);
        if (start === IDLE) continue;
        for (let block = 0; block < blocks; block += 1) {
          digestBlock(view, lane, start + block * BLOCK_BYTES);
        }
      }
    },
    digestShort(groups) {
      for (let i = 0; i < groups * LANES; i += 1) digestShortMessage(view, i);
    },
  };
}

function digestShortMessage(view: DataView, index: number): void {
  const start = view.getInt32(SHORT_STARTS + 4 * index, true);
  const length = view.getInt32(SHORT_LENGTHS + 4 * index, true);
  const block = laneAt(0);
  for (let i = 0; i < BLOCK_BYTES; i += 1) {
    view.setUint8(block + i, i < length ? view.getUint8(start + i) : i === length ? 0x80 : 0);
  }
  view.setInt32(block + BLOCK_BYTES - 8, length << 3, true);
  for (const [word, value] of INITIAL_STATE.entries()) view.setInt32(stateAt(0, word), value, true);
  digestBlock(view, 0, block);
  for (let word = 0; word < INITIAL_STATE.length; word += 1) {
    view.setInt32(shortDigestAt(index, word), view.getInt32(stateAt(0, word), true), true);
  }
}

function digestBlock(view: DataView, lane: number, at: number): void {
  let a = view.getInt32(stateAt(lane, 0), true);
  let b = view.getInt32(stateAt(lane, 1), true);
  let c = view.getInt32(stateAt(lane, 2), true);
  let d = view.getInt32(stateAt(lane, 3), true);
  const initial = [a, b, c, d];
  for (let step = 0; step < CONSTANTS.length; step += 1) {
    const word = view.getInt32(at + 4 * wordOf(step), true);
    const sum = (a + mixed(roundOf(step), b, c, d) + CONSTANTS[step]! + word) | 0;
    const shift = shiftOf(step);
    a = d;
    d = c;
    c = b;
    b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
  }
  for (const [word, value] of [a, b, c, d].entries()) {
    view.setInt32(stateAt(lane, word), value + initial[word]!, true);
  }
}

function mixed(round: number, b: number, c: number, d: number): number {
  if (round === 0) return (b & c) | (~b & d);
  if (round === 1) return (d & b) | (~d & c);
  return round === 2 ? b ^ c ^ d : c ^ (b | ~d);
}

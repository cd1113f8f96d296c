import {
  LANES,
  MEMORY_PAGES,
  SHORT_DIGESTS,
  SHORT_LENGTHS,
  SHORT_STARTS,
  startAt,
  VECTOR_LANES,
  vectorAt,
} from "./layout.ts";
import { BLOCK_BYTES, CONSTANTS, INITIAL_STATE, roundOf, shiftOf, wordOf } from "./steps.ts";

type Code = readonly number[];

const VECTORS = LANES / VECTOR_LANES;
const WORDS = 16;

/** WebAssembly types and instructions. */
const I32 = 0x7f;
const V128 = 0x7b;
const LOOP = [0x03, 0x40];
const BRANCH_IF = [0x0d, 0];
const END = [0x0b];
const ADD = [0x6a];
const SUBTRACT = [0x6b];
const vector = (instruction: number): Code => [0xfd, ...unsigned(instruction)];
const CONSTANT = vector(0x0c);
const SPLAT_BYTE = vector(0x0f);
const SPLAT = vector(0x11);
const EQUAL_BYTES = vector(0x23);
const LESS_BYTES = vector(0x26);
const SHUFFLE = vector(0x0d);
const NOT = vector(0x4d);
const AND = vector(0x4e);
const OR = vector(0x50);
const XOR = vector(0x51);
const SELECT = vector(0x52);
const SHIFT_LEFT = vector(0xab);
const SHIFT_RIGHT = vector(0xad);
const ADD_LANES = vector(0xae);

/**
 * The local variables: the parameter, the address of each lane, the addresses of the numbers (starts and lengths) and
 * digests of short messages; and for each vector: a, b, c, d, their old values, the block.
 */
const LEFT = 0;
const START = 1;
const NUMBERS = START + LANES;
const DIGESTS = NUMBERS + 1;
const FIRST_VECTOR = DIGESTS + 1;
const VECTOR_LOCALS = 8 + WORDS;
const STATE = 0;
const OLD = 4;
const WORD = 8;
const local = (of: number, which: number): number => FIRST_VECTOR + of * VECTOR_LOCALS + which;
const ALL = range(VECTORS);
const STATES = ALL.flatMap((of) => range(4).map((word) => ({ of, word })));

/**
 * Generates a WebAssembly module. It exports a `memory` as in `layout.ts`, and `digest(blocks)` and
 * `digestShort(groups)` as in `Lanes`.
 */
export function moduleBytes(): Uint8Array {
  const locals = [2, ...unsigned(LANES + 2), I32, ...unsigned(VECTORS * VECTOR_LOCALS), V128];
  const bodies = [digest(), digestShort()].map((code) => [...locals, ...code]);
  return Uint8Array.from([
    // Magic number and version.
    ...Buffer.from("\0asm\x01\0\0\0"),
    // Sections: a function type (i32) -> (), two functions of this type, the memory, the exports, the code.
    ...section(1, [0x60, 1, I32, 0]),
    ...section(3, [0], [0]),
    ...section(5, [0, MEMORY_PAGES]),
    ...section(
      7,
      [...name("memory"), 2, 0],
      [...name("digest"), 0, 0],
      [...name("digestShort"), 0, 1],
    ),
    ...section(10, ...bodies.map((body) => [...unsigned(body.length), ...body])),
  ]);
}

function digest(): Code {
  const lanes = range(LANES);
  return [
    lanes.flatMap((lane) => [...loadNumber(i32(0), startAt(lane)), ...set(START + lane)]),
    STATES.flatMap(({ of, word }) => [
      ...load(i32(0), vectorAt(of, word)),
      ...set(local(of, STATE + word)),
    ]),
    LOOP,
    ALL.flatMap((of) => [...loadBlock(of), ...transposeBlock(of)]),
    STATES.flatMap(({ of, word }) => [
      ...get(local(of, STATE + word)),
      ...set(local(of, OLD + word)),
    ]),
    steps(),
    lanes.flatMap((lane) => increase(START + lane, BLOCK_BYTES)),
    repeat(),
    STATES.flatMap(({ of, word }) => store(i32(0), local(of, STATE + word), vectorAt(of, word))),
    END,
  ].flat();
}

/** The messages may have any length up to `MAX_SHORT_BYTES`. */
function digestShort(): Code {
  const lanes = range(LANES);
  return [
    LOOP,
    lanes.flatMap((lane) => [
      ...loadNumber(get(NUMBERS), SHORT_STARTS + 4 * lane),
      ...set(START + lane),
    ]),
    ALL.flatMap((of) => [...loadPadded(of), ...transposeBlock(of), ...loadLengths(of)]),
    STATES.flatMap(({ of, word }) => [
      [i32(INITIAL_STATE[word]!), SPLAT, tee(local(of, STATE + word))].flat(),
      set(local(of, OLD + word)),
    ]).flat(),
    steps(),
    STATES.flatMap(({ of, word }) =>
      store(get(DIGESTS), local(of, STATE + word), SHORT_DIGESTS + vectorAt(of, word)),
    ),
    increase(NUMBERS, 4 * LANES),
    increase(DIGESTS, 16 * LANES),
    repeat(),
    END,
  ].flat();
}

/** All steps of a block. The caller has saved the state before it. */
function steps(): Code {
  return [
    range(CONSTANTS.length).flatMap((i) => ALL.flatMap((of) => step(of, i))),
    STATES.flatMap(({ of, word }) => addTo(local(of, STATE + word), local(of, OLD + word))),
  ].flat();
}

/** Loads a block of four lanes: each vector has four words of one lane. */
function loadBlock(of: number): Code {
  return range(WORDS).flatMap((word) => {
    const lane = START + VECTOR_LANES * of + (word & 3);
    return [...load(get(lane), 4 * (word & ~3)), ...set(local(of, WORD + word))];
  });
}

/** Loads a block of four short messages: clears the bytes after each, and sets the bit that follows it. */
function loadPadded(of: number): Code {
  const length = local(of, OLD);
  return range(VECTOR_LANES).flatMap((lane) => [
    ...loadNumber(get(NUMBERS), SHORT_LENGTHS + 4 * (VECTOR_LANES * of + lane)),
    ...[SPLAT_BYTE, set(length)].flat(),
    ...[0, 16, 32, 48].flatMap((first) => {
      const places = [...CONSTANT, ...range(16).map((byte) => first + byte)];
      return [
        load(get(START + VECTOR_LANES * of + lane), first),
        [places, get(length), LESS_BYTES, AND].flat(),
        [places, get(length), EQUAL_BYTES, i32(0x80), SPLAT_BYTE, AND, OR].flat(),
        set(local(of, WORD + first / 4 + lane)),
      ].flat();
    }),
  ]);
}

/** Writes the length in bits into each block. Lengths are below 64 bytes, so one word suffices. */
function loadLengths(of: number): Code {
  return [
    load(get(NUMBERS), SHORT_LENGTHS + 4 * VECTOR_LANES * of),
    [i32(3), SHIFT_LEFT, set(local(of, WORD + WORDS - 2))].flat(),
  ].flat();
}

/** Transposes a block of four lanes, so that each vector has one word of all four. */
function transposeBlock(of: number): Code {
  return [0, 4, 8, 12].flatMap((first) => {
    const words = range(4).map((word) => local(of, WORD + first + word));
    const [a, b, c, d] = words as Four;
    // These locals are free: the old state is saved there only later.
    const [e, f, g, h] = range(4).map((word) => local(of, OLD + word)) as Four;
    return [
      [shuffle(a, b, [0, 4, 1, 5]), set(e), shuffle(c, d, [0, 4, 1, 5]), set(f)].flat(),
      [shuffle(a, b, [2, 6, 3, 7]), set(g), shuffle(c, d, [2, 6, 3, 7]), set(h)].flat(),
      [shuffle(e, f, [0, 1, 4, 5]), set(a), shuffle(e, f, [2, 3, 6, 7]), set(b)].flat(),
      [shuffle(g, h, [0, 1, 4, 5]), set(c), shuffle(g, h, [2, 3, 6, 7]), set(d)].flat(),
    ].flat();
  });
}

type Four = [number, number, number, number];

/** One step in four lanes. The roles a, b, c and d rotate instead of the values. */
function step(of: number, i: number): Code {
  const [a, b, c, d] = range(4).map((role) => local(of, STATE + ((role - i) & 3))) as Four;
  const shift = shiftOf(i);
  return [
    [get(a), i32(CONSTANTS[i]!), SPLAT, ADD_LANES].flat(),
    [get(local(of, WORD + wordOf(i))), ADD_LANES].flat(),
    [mixed(roundOf(i), get(b), get(c), get(d)), ADD_LANES, tee(a)].flat(),
    [i32(shift), SHIFT_LEFT, get(a), i32(32 - shift), SHIFT_RIGHT, OR].flat(),
    [get(b), ADD_LANES, set(a)].flat(),
  ].flat();
}

function mixed(round: number, b: Code, c: Code, d: Code): Code {
  if (round === 0) return [c, d, b, SELECT].flat();
  if (round === 1) return [b, c, d, SELECT].flat();
  return round === 2 ? [c, d, XOR, b, XOR].flat() : [d, NOT, b, OR, c, XOR].flat();
}

function addTo(to: number, from: number): Code {
  return [get(to), get(from), ADD_LANES, set(to)].flat();
}

function shuffle(a: number, b: number, words: Code): Code {
  const bytes = words.flatMap((word) => range(4).map((byte) => 4 * word + byte));
  return [...get(a), ...get(b), ...SHUFFLE, ...bytes];
}

function load(address: Code, offset: number): Code {
  return [...address, ...vector(0), 4, ...unsigned(offset)];
}

function loadNumber(address: Code, offset: number): Code {
  return [...address, 0x28, 2, ...unsigned(offset)];
}

function store(address: Code, from: number, offset: number): Code {
  return [...address, ...get(from), ...vector(0x0b), 4, ...unsigned(offset)];
}

function increase(which: number, by: number): Code {
  return [get(which), i32(by), ADD, set(which)].flat();
}

/** Decrements the counter, and repeats the loop unless it is 0. */
function repeat(): Code {
  return [get(LEFT), i32(1), SUBTRACT, tee(LEFT), BRANCH_IF, END].flat();
}

function get(of: number): Code {
  return [0x20, ...unsigned(of)];
}

function set(of: number): Code {
  return [0x21, ...unsigned(of)];
}

function tee(of: number): Code {
  return [0x22, ...unsigned(of)];
}

function i32(value: number): Code {
  return [0x41, ...signed(value)];
}

function section(id: number, ...items: readonly Code[]): Code {
  const content = [...unsigned(items.length), ...items.flat()];
  return [id, ...unsigned(content.length), ...content];
}

function name(text: string): Code {
  return [text.length, ...Buffer.from(text)];
}

/** LEB128. */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): Code {
  return value >= -0x40 && value < 0x40
    ? [value & 0x7f]
    : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}

function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}

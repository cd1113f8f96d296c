import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Canned } from "../read/canned.ts";
import { ContestantProcess, nodeContestant } from "../read/contestant-process.ts";
import { selfSigned } from "../read/tls.ts";
import { callTree, type CpuProfile, type Frame } from "./call-tree.ts";
import { flameSvg, ownerOf } from "./flame-svg.ts";

const PAGES = { shards: 24, pages: 4, records: 2000, bytes: 1024 };
/** Enough rounds that compilation is a small part. */
const ROUNDS = 10;
/** The number of listed functions in the result. */
const LISTED = 20;
const FILE = fileURLToPath(new URL("../../../../docs/reading-flame.svg", import.meta.url));

/** Profiles reading over TLS, and writes the flame graph of the documentation. */
export async function benchFlame(): Promise<object> {
  const tls = selfSigned();
  if (tls === undefined) throw new Error("flame needs openssl, for the server's certificate");
  const directory = mkdtempSync(join(tmpdir(), "kc-flame-"));
  try {
    await readProfiled({ ...PAGES, tls }, directory);
    const [profile] = readdirSync(directory);
    const text = readFileSync(join(directory, profile!), "utf8");
    const tree = callTree(JSON.parse(text) as CpuProfile);
    const title = `A consumer reading over TLS, ${PAGES.bytes} B x ${PAGES.records} a page, Node.js ${process.version}`;
    writeFileSync(FILE, flameSvg(tree, title));
    return {
      file: FILE,
      seconds: tree.total / 1e6,
      percentByOwner: ownTimes(tree, byOwner),
      percentByFunction: ownTimes(tree, byFunction),
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function readProfiled(pages: Canned["pages"], directory: string): Promise<void> {
  await using canned = await Canned.start(pages);
  const options = ["--cpu-prof", "--cpu-prof-interval", "500", "--cpu-prof-dir", directory];
  await using consumer = new ContestantProcess(nodeContestant("consumer", canned, options));
  for (let round = 0; round < ROUNDS; round += 1) await consumer.round(() => {});
}

/** A frame's name for a sum. */
type Naming = (frame: Frame) => string;

const byOwner: Naming = (frame) => (frame.url === "" ? frame.name : ownerOf(frame).owner);
const byFunction: Naming = ({ name, url }) => `${name} ${basename(url)}`.trim();

/** The frames' own time, summed by name, largest first, in percent of the total. */
function ownTimes(root: Frame, nameOf: Naming): Record<string, number> {
  const own = new Map<string, number>();
  const visit = (frame: Frame): void => {
    let micros = frame.total;
    for (const child of frame.children.values()) {
      micros -= child.total;
      visit(child);
    }
    own.set(nameOf(frame), (own.get(nameOf(frame)) ?? 0) + micros);
  };
  visit(root);
  const sorted = [...own].toSorted(([, a], [, b]) => b - a).slice(0, LISTED);
  return Object.fromEntries(
    sorted.map(([name, micros]) => [name, Number(((micros / root.total) * 100).toFixed(1))]),
  );
}

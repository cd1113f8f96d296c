import type { Frame } from "./call-tree.ts";

const WIDTH = 1200;
const ROW = 18;
const HEADER = 44;
const FONT = 11;
/** The width of a character of the monospaced font, in pixels. */
const LETTER = 6.7;
/** Narrower frames and their callees are omitted. */
const NARROWEST = 1.2;

/** The owner of a frame's code, by its file; the first match counts. */
const OWNERS = [
  { owner: "@kc/core", colour: "#f4a261", file: /\/packages\/core\/|@kc\/core/ },
  { owner: "AWS's SDK", colour: "#8ab6d6", file: /@aws-sdk|@smithy|@aws-crypto/ },
  { owner: "Node.js", colour: "#a8c686", file: /^node:/ },
  { owner: "the benchmark", colour: "#d4b5d6", file: /./ },
  { owner: "engine and system", colour: "#cfcfcf", file: /^$/ },
] as const;

/**
 * A flame graph with callers below. A frame's width is its share of the CPU time; its name is a
 * tooltip.
 */
export function flameSvg(root: Frame, title: string): string {
  const depth = depthOf(root, root.total);
  const height = HEADER + depth * ROW + 8;
  const rows: string[] = [];
  draw(root, 0, 0);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="monospace" font-size="${FONT}">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="4" y="15" font-size="13">${escape(title)}</text>`,
    ...legend(),
    ...rows,
    "</svg>",
    "",
  ].join("\n");

  function draw(frame: Frame, left: number, level: number): void {
    const width = widthOf(frame, root.total);
    if (width < NARROWEST) return;
    const y = height - 8 - (level + 1) * ROW;
    const percent = ((frame.total / root.total) * 100).toFixed(1);
    const name = frame.name.slice(0, Math.max(0, Math.floor((width - 4) / LETTER)));
    rows.push(
      `<g><title>${escape(`${frame.name}, ${ownerOf(frame).owner}: ${percent} %`)}</title>` +
        `<rect x="${left.toFixed(1)}" y="${y}" width="${(width - 0.5).toFixed(1)}" height="${ROW - 1}" fill="${ownerOf(frame).colour}"/>` +
        (name.length < 3
          ? ""
          : `<text x="${(left + 2).toFixed(1)}" y="${y + 12}">${escape(name)}</text>`) +
        "</g>",
    );
    let x = left;
    for (const child of widestFirst(frame)) {
      draw(child, x, level + 1);
      x += widthOf(child, root.total);
    }
  }
}

function legend(): string[] {
  let x = 4;
  return OWNERS.map(({ owner, colour }) => {
    const at = x;
    x += 24 + owner.length * LETTER + 12;
    return `<rect x="${at.toFixed(1)}" y="24" width="12" height="12" fill="${colour}"/><text x="${(at + 17).toFixed(1)}" y="34">${escape(owner)}</text>`;
  });
}

export function ownerOf({ url }: Frame): (typeof OWNERS)[number] {
  return OWNERS.find(({ file }) => file.test(url))!;
}

/** The number of drawn rows. */
function depthOf(frame: Frame, all: number): number {
  if (widthOf(frame, all) < NARROWEST) return 0;
  return 1 + Math.max(0, ...[...frame.children.values()].map((child) => depthOf(child, all)));
}

function widthOf({ total }: Frame, all: number): number {
  return (total / all) * WIDTH;
}

function widestFirst({ children }: Frame): Frame[] {
  return [...children.values()].toSorted((a, b) => b.total - a.total);
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

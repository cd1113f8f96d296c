import { basename } from "node:path";

/** The used parts of the format of `--cpu-prof`. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** The node that was running at each sample. */
  readonly samples: readonly number[];
  /** Microseconds from the previous sample to each. */
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
  readonly children?: readonly number[];
}

/** A function in one place of the call tree. Times are in microseconds. */
export interface Frame {
  readonly name: string;
  /** The file's URL; empty for frames without a file, such as the garbage collector. */
  readonly url: string;
  /** Its own time plus that of its callees. */
  total: number;
  readonly children: Map<string, Frame>;
}

/** The process was idle and used no CPU. */
const ASLEEP = "(idle)";

/** The call tree of a profile. A function that was compiled more than once is one frame. */
export function callTree({ nodes, samples, timeDeltas }: CpuProfile): Frame {
  const own = new Map<number, number>();
  samples.forEach((id, at) => own.set(id, (own.get(id) ?? 0) + Math.max(0, timeDeltas[at]!)));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const root: Frame = { name: "all", url: "", total: 0, children: new Map() };
  const add = (id: number, parent: Frame): number => {
    const { callFrame, children = [] } = byId.get(id)!;
    if (callFrame.functionName === ASLEEP) return 0;
    const frame = callFrame.functionName === "(root)" ? parent : childOf(parent, callFrame);
    let total = own.get(id) ?? 0;
    for (const child of children) total += add(child, frame);
    frame.total += total;
    return frame === parent ? 0 : total;
  };
  add(nodes[0]!.id, root);
  return root;
}

function childOf(
  parent: Frame,
  { functionName, url, lineNumber }: ProfileNode["callFrame"],
): Frame {
  const name = functionName || `${basename(url)}:${lineNumber + 1}`;
  const key = `${name} ${url}`;
  let child = parent.children.get(key);
  if (child === undefined) {
    child = { name, url, total: 0, children: new Map() };
    parent.children.set(key, child);
  }
  return child;
}

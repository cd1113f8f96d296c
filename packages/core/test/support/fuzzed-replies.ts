import { mutated } from "@kc-internal/test-services";

/** What an endpoint that is not Kinesis may write in the place of a member. */
const HOSTILE: readonly unknown[] = [
  null,
  undefined,
  true,
  0,
  -1,
  0.5,
  2 ** 53,
  NaN,
  "",
  "shardId-0",
  "shardId-2",
  "a b",
  "line\nbreak",
  "\u001b[31m",
  "x".repeat(2000),
  "9".repeat(130),
  [],
  {},
  ["shardId-1"],
  new Date(NaN),
  new Date(0),
];

/** A copy of a reply of the SDK that was changed in up to three places. */
export function mutatedReply(reply: object, random: () => number): unknown {
  const below = (bound: number): number => Math.floor(random() * bound);
  if (below(3) === 0) {
    const bytes = Buffer.from(JSON.stringify(reply));
    return parsed(Buffer.from(mutated(bytes, [bytes], random)).toString());
  }
  const copy = structuredClone(reply) as Record<string, unknown>;
  for (let changes = below(4); changes > 0; changes -= 1) change(copy, below);
  return copy;
}

/** Bytes that are no JSON are the SDK's business: they never become a reply. */
function parsed(text: string): unknown {
  try {
    const reply: unknown = JSON.parse(text, (name, value: unknown) =>
      name.endsWith("Timestamp") && typeof value === "string" ? new Date(value) : value,
    );
    return typeof reply === "object" && reply !== null ? reply : {};
  } catch {
    return {};
  }
}

function change(members: Record<string, unknown> | unknown[], below: (n: number) => number): void {
  const structure = members as Record<string, unknown>;
  const names = Object.keys(structure);
  const name = names[below(names.length)];
  if (name === undefined) return;
  const value = structure[name];
  const isWhole = typeof value === "object" && value !== null && !(value instanceof Date);
  if (isWhole && below(4) > 0) change(value as Record<string, unknown>, below);
  else if (below(6) === 0 && Array.isArray(members)) members.push(structuredClone(value));
  else if (below(6) === 0) remove(members, name);
  else structure[name] = HOSTILE[below(HOSTILE.length)];
}

/** Without leaving a hole: no reply has any. */
function remove(members: Record<string, unknown> | unknown[], name: string): void {
  if (Array.isArray(members)) members.splice(Number(name), 1);
  else delete members[name];
}

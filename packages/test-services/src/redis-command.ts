import { once } from "node:events";
import { connect } from "node:net";
import type { Address } from "./server-process.ts";

/** Sends one command, and returns the reply as it is on the wire. */
export async function redisCommand({ host, port }: Address, command: string): Promise<string> {
  const socket = connect({ host, port });
  try {
    await once(socket, "connect");
    socket.end(`${command}\r\nQUIT\r\n`);
    const chunks = (await socket.toArray()) as Buffer[];
    const reply = Buffer.concat(chunks).toString();
    if (reply.startsWith("-")) throw new Error(`Redis refused ${command}: ${reply}`);
    return reply;
  } finally {
    socket.destroy();
  }
}

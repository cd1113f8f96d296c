import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as after } from "node:timers/promises";

export interface Sample {
  readonly name: string;
  readonly value: number;
  readonly type: string;
  readonly tags: ReadonlySet<string>;
}

/** What listens where a StatsD server would. */
export interface TestServer extends AsyncDisposable {
  readonly port: number;
  readonly lines: readonly string[];
  readonly samples: () => readonly Sample[];
  /** Resolves when a datagram with this text has come. */
  readonly until: (text: string) => Promise<void>;
}

export async function startServer(): Promise<TestServer> {
  const socket = createSocket("udp4");
  const lines: string[] = [];
  socket.on("message", (datagram) => lines.push(...datagram.toString().split("\n")));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    port: socket.address().port,
    lines,
    samples: () => lines.map(sampleOf),
    until: async (text) => {
      const deadline = performance.now() + 30_000;
      while (!lines.some((line) => line.includes(text))) {
        if (performance.now() > deadline) throw new Error(`no ${text} among ${lines.join("; ")}`);
        await after(1);
      }
    },
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, "close");
    },
  };
}

/** `name:value|type|#tag:value,tag:value` */
function sampleOf(line: string): Sample {
  const [head = "", type = "", tags = ""] = line.split("|");
  const [name = "", value] = head.split(":");
  return { name, value: Number(value), type, tags: new Set(tags.replace("#", "").split(",")) };
}

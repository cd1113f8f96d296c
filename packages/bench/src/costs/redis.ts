import { RedisStore } from "@kc/store-redis";
import { Redis } from "ioredis";
import type { Subject } from "./subject.ts";

export function redis(url: string): Subject {
  const admin = new Redis(url);
  return {
    url,
    open: (at) => new RedisStore({ connection: at! }),
    async meter() {
      const text = await admin.info("commandstats");
      let commands = 0;
      for (const [, name, calls] of text.matchAll(/^cmdstat_([a-z|]+):calls=(\d+)/gm)) {
        if (name !== "info") commands += Number(calls);
      }
      return { commands };
    },
    [Symbol.asyncDispose]: async () => void (await admin.quit()),
  };
}

import { describe, expect, test } from "vitest";
import { startRedis } from "../src/index.ts";
import { addressFromEnvironment, VARIABLES } from "../src/setup/environment.ts";
import type { Services } from "../src/setup/addresses.ts";
import { shared } from "../src/setup/services.ts";

const POSTGRES = "postgresql://me:secret@db.example:6543/app";

describe("a server that the environment names", () => {
  test.each<[keyof Services, string, object]>([
    [
      "postgres",
      POSTGRES,
      {
        host: "db.example",
        port: 6543,
        user: "me",
        password: "secret",
        database: "app",
        connectionString: POSTGRES,
      },
    ],
    [
      "mariadb",
      "mysql://root@localhost",
      { host: "localhost", port: 3306, user: "root", password: "", uri: "mysql://root@localhost" },
    ],
    ["redis", "redis://localhost", { host: "localhost", port: 6379, url: "redis://localhost" }],
    [
      "redisCluster",
      "redis://a:1,redis://b:2",
      {
        nodes: [
          { host: "a", port: 1, url: "redis://a:1" },
          { host: "b", port: 2, url: "redis://b:2" },
        ],
      },
    ],
    [
      "dynamodb",
      "http://localhost:8001",
      { host: "localhost", port: 8001, endpoint: "http://localhost:8001" },
    ],
    [
      "sqsS3",
      "http://localhost:4566",
      { host: "localhost", port: 4566, endpoint: "http://localhost:4566" },
    ],
  ])("%s is found by its URL", (name, url, address) => {
    expect(addressFromEnvironment(name, { [VARIABLES[name]]: url })).toEqual(address);
  });

  test("none is named by an empty variable, or by another's", () => {
    expect(addressFromEnvironment("redis", {})).toBeUndefined();
    expect(addressFromEnvironment("redis", { KC_REDIS_URL: "" })).toBeUndefined();
    expect(addressFromEnvironment("redis", { KC_POSTGRES_URL: POSTGRES })).toBeUndefined();
  });

  test.each(["localhost:6379", "http://localhost:6379", "nonsense"])(
    "%s is refused, by the variable's name",
    (url) => {
      const read = (): unknown => addressFromEnvironment("redis", { KC_REDIS_URL: url });
      expect(read).toThrow("KC_REDIS_URL is not what it has to be");
    },
  );

  test("is used instead of one that would be started, and is left running", async () => {
    await using redis = await startRedis();
    process.env["KC_REDIS_URL"] = redis.url;
    try {
      const provided: unknown[] = [];
      const start = (): never => {
        throw new Error("it was started");
      };
      const setup = shared("redis", start, (server) => server);
      const project = { provide: (...given: unknown[]) => provided.push(given) };
      const close = await setup(project as unknown as Parameters<typeof setup>[0]);
      const { host, port, url } = redis;
      expect(provided).toEqual([["redis", { host, port, url }]]);
      await close();
      await redis.stop();
      await redis.restart();
    } finally {
      delete process.env["KC_REDIS_URL"];
    }
  });
});

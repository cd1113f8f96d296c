import { existsSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PutRecordCommand } from "@aws-sdk/client-kinesis";
import { Consumer, KC_ERROR_CODES, METRICS } from "@kc/core";
import { FakeKinesis } from "@kc/emulator";
import { afterAll, describe, expect, test } from "vitest";
import {
  anchors,
  blocks,
  headings,
  links,
  markdownFiles,
  prose,
  read,
  ROOT,
  section,
  tableRows,
} from "./support/markdown.ts";
import { allSourceFiles, allSources, membersOf } from "./support/sources.ts";
import { complaints, writeBlocks } from "./support/typescript-blocks.ts";

const REPOSITORY = "https://github.com/kc-js/kc/blob/main/";
const all = markdownFiles();
const withTypeScript = all.filter((file) =>
  /^(?:README\.md|CONTRIBUTING\.md|docs\/[^/]+\.md|packages\/[^/]+\/README\.md)$/.test(file),
);

describe("TypeScript", () => {
  const project = writeBlocks(withTypeScript);
  afterAll(() => rmSync(project.directory, { recursive: true, force: true }));

  test("no block has a fence that is not known here", () => {
    const known = new Set(["ts", "ts test", "ts fragment"]);
    const unknown = withTypeScript
      .flatMap(blocks)
      .filter(({ info }) => /^(?:ts|typescript)\b/i.test(info) && !known.has(info));
    expect(unknown).toEqual([]);
  });

  test("every block type-checks against the sources", () => {
    const directory = join(project.directory, "programs");
    writeFileSync(join(directory, "planted.ts"), `export const n: number = "text";\n`);
    expect(project.programs.length).toBeGreaterThan(0);
    expect(complaints(directory)).toEqual([expect.stringMatching(/^planted\.ts.*TS2322/)]);
  });

  test("every fragment parses", () => {
    const directory = join(project.directory, "fragments");
    writeFileSync(join(directory, "planted.ts"), "const n = ;\n");
    expect(complaints(directory)).toEqual([expect.stringMatching(/^planted\.ts.*TS1109/)]);
  });

  for (const { file, line, info, path } of project.programs) {
    if (info !== "ts test") continue;
    describe(`the tests at ${file}:${line}`, async () => {
      await import(/* @vite-ignore */ path);
    });
  }
});

describe("ARCHITECTURE.md", () => {
  test("names source files that exist", () => {
    const named = [...prose("ARCHITECTURE.md").matchAll(/`((?:[a-z0-9-]+\/)+[a-z0-9-]+\.ts)`/g)];
    const files = allSourceFiles();
    const gone = named.filter(([, path]) => !files.some((file) => file.endsWith(`/${path}`)));
    expect(named.length).toBeGreaterThan(100);
    expect(gone.map(([, path]) => path)).toEqual([]);
  });
});

describe("docs/errors.md", () => {
  test("has one heading for each code, and no other at that level", () => {
    const documented = headings(section(prose("docs/errors.md"), "Codes"), 3);
    expect(documented.toSorted()).toEqual(KC_ERROR_CODES.toSorted());
  });
});

describe("docs/configuration.md", () => {
  const page = prose("docs/configuration.md");
  const core = membersOf("packages/core/src/options/consumer-options.ts", "ConsumerOptions");

  test("has a heading for each option of Consumer, and no other", () => {
    const documented = headings(section(page, "Consumer"), 3);
    expect(documented.toSorted()).toEqual(core.map(({ name }) => name).toSorted());
  });

  test("gives the defaults that the source gives", () => {
    const rows = tableRows(section(page, "Consumer"));
    const documented = Object.fromEntries(rows.map(([name, byDefault]) => [name, byDefault]));
    // Where the source has a value: the others are explained in words.
    const values = core.filter(({ byDefault = "" }) =>
      /^(?:"[A-Z_]+"|\d+|true|false|new \w+\(\))$/.test(byDefault),
    );
    expect(values.length).toBeGreaterThan(5);
    expect(rows.map(([name]) => name).toSorted()).toEqual(
      core.map(({ name }) => `\`${name}\``).toSorted(),
    );
    for (const { name, byDefault } of values) {
      expect(documented[`\`${name}\``], name).toBe(`\`${byDefault}\``);
    }
  });

  const others = [
    ["SqliteStore", "packages/store-sqlite/src/options.ts", "SqliteStoreOptions"],
    ["DynamoDBStore", "packages/store-dynamodb/src/options.ts", "DynamoDBStoreOptions"],
    ["MysqlStore", "packages/store-mysql/src/options.ts", "MysqlStoreOptions"],
    ["PostgresStore", "packages/store-postgres/src/options.ts", "PostgresStoreOptions"],
    ["RedisStore", "packages/store-redis/src/options.ts", "RedisStoreOptions"],
    ["FakeKinesis", "packages/emulator/src/model/model.ts", "ModelOptions"],
    ["startEmulator", "packages/emulator/src/options.ts", "EmulatorOptions"],
  ] as const;

  test.each(others)("has a row for each option of %s", (heading, file, type) => {
    const rows = tableRows(section(page, heading)).map(([name]) => name);
    const options = membersOf(file, type).map(({ name }) => `\`${name}\``);
    expect(rows.toSorted()).toEqual(options.toSorted());
  });

  test("has a row for each flag of kc-emulator", () => {
    const source = read("packages/emulator/src/cli/settings.ts");
    const settings = [...source.matchAll(/^ {4}flag: "([\w-]+)"/gm)].map(([, flag]) => flag!);
    const flags = [...settings, "version", "help"].map((flag) => `\`--${flag}\``);
    expect(settings.length).toBeGreaterThan(0);
    const rows = tableRows(section(page, "kc-emulator")).map(([name]) => name);
    expect(rows.toSorted()).toEqual(flags.toSorted());
  });
});

describe("docs/groups.md", () => {
  const options = section(prose("docs/groups.md"), "LeaseGroup");
  const file = "packages/core/src/groups/leases/lease-group-options.ts";
  const source = membersOf(file, "LeaseGroupOptions");

  test("has a row and a heading for each option of LeaseGroup, and no other", () => {
    const names = source.map(({ name }) => name).toSorted();
    expect(headings(options, 3).toSorted()).toEqual(names);
    const rows = tableRows(options).map(([name]) => name);
    expect(rows.toSorted()).toEqual(names.map((name) => `\`${name}\``));
  });

  test("gives the defaults that the source gives", () => {
    const documented = new Map(tableRows(options).map(([name, byDefault]) => [name, byDefault]));
    const values = source.filter(({ byDefault = "" }) => /^(?:\d+|leaseMs .*)$/.test(byDefault));
    expect(values.length).toBeGreaterThan(2);
    for (const { name, byDefault } of values) {
      expect(documented.get(`\`${name}\``), name).toBe(`\`${byDefault}\``);
    }
  });

  test("has a row for each member of its status", () => {
    const rows = tableRows(section(prose("docs/groups.md"), "Group status")).map(([name]) => name);
    const status = membersOf("packages/core/src/groups/leases/group-status.ts", "LeaseGroupStatus");
    const members = status.map(({ name }) => `\`${name}\``);
    expect(rows.toSorted()).toEqual(members.toSorted());
  });
});

describe("docs/lambda.md", () => {
  const own = membersOf("packages/lambda/src/lambda-options.ts", "LambdaOptions");

  test("has a row for each option that a scan has not, with its default", () => {
    const rows = tableRows(section(prose("docs/lambda.md"), "Options"));
    expect(rows.map(([name]) => name)).toEqual(own.map(({ name }) => `\`${name}\``));
    const documented = new Map(rows.map(([name, byDefault]) => [name, byDefault]));
    const values = own.filter(({ byDefault = "" }) => /^(?:"\w+"|\d+|true)$/.test(byDefault));
    expect(values.length).toBe(3);
    for (const { name, byDefault } of values) {
      expect(documented.get(`\`${name}\``), name).toBe(`\`${byDefault}\``);
    }
  });
});

describe("docs/troubleshooting.md", () => {
  test("each message that it explains is one of the source's, in alphabetical order", () => {
    const sources = allSources();
    const messages = headings(section(prose("docs/troubleshooting.md"), "By message"), 3);
    expect(messages.length).toBeGreaterThan(20);
    expect(messages.filter((message) => !sources.includes(message))).toEqual([]);
    expect(messages).toEqual(messages.toSorted());
  });
});

describe("docs/metrics.md", () => {
  test("has METRICS as its first table, word for word", () => {
    const expected = Object.entries(METRICS).map(([name, metric]) => [
      `\`${name}\``,
      metric.kind,
      `\`${metric.unit}\``,
      metric.attributes.map((attribute) => `\`${attribute}\``).join(", "),
      metric.description,
    ]);
    expect(tableRows(prose("docs/metrics.md"))).toEqual(expected);
  });
});

describe("docs/getting-started.md", () => {
  test("its policy allows the calls that a consumer makes, and no more", async () => {
    const client = new FakeKinesis({ streams: { orders: 1 } });
    const Data = new TextEncoder().encode("hello");
    await client.send(new PutRecordCommand({ StreamName: "orders", PartitionKey: "a", Data }));
    client.resetCalls();
    const consumer = new Consumer({ stream: "orders", client, start: "TRIM_HORIZON" });
    for await (const record of consumer.records()) {
      expect(record.text()).toBe("hello");
      break;
    }
    const made = new Set(client.calls.map(({ operation }) => `kinesis:${operation}`));

    const policy = blocks("docs/getting-started.md").find(({ text }) => text.includes("Statement"));
    const { Statement } = JSON.parse(policy?.text ?? "") as {
      readonly Statement: readonly { readonly Action: string | readonly string[] }[];
    };
    const allowed = Statement.flatMap(({ Action }) => Action).filter((action) =>
      action.startsWith("kinesis:"),
    );
    expect(allowed.toSorted()).toEqual([...made].toSorted());
  });
});

describe("links", () => {
  test.each(all)("of %s lead somewhere", (file) => {
    const broken = links(file).filter((link) => {
      const inRepository = link.startsWith(REPOSITORY);
      if (/^[a-z]+:/i.test(link) && !inRepository) return false;
      const [path = "", anchor] = link.replace(REPOSITORY, "").split("#");
      const base = inRepository ? "" : dirname(file);
      const target = path === "" ? file : join(base, path);
      if (!existsSync(join(ROOT, target))) return true;
      return anchor !== undefined && target.endsWith(".md") && !anchors(target).has(anchor);
    });
    expect(broken).toEqual([]);
  });
});

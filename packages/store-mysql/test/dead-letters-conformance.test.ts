import { allLetters, deadLetterConformance, type DeadLetterHarness } from "@kc/conformance";
import { startProxy, type MysqlAddress } from "@kc-internal/test-services";
import { MysqlStore } from "../src/index.ts";
import { createDatabase, SERVERS } from "./support/servers.ts";

/** A database of its own, which every handle reaches by a store of its own and one proxy. */
async function harness(address: MysqlAddress): Promise<DeadLetterHarness> {
  const database = await createDatabase(address);
  const proxy = await startProxy(address);
  const stores: MysqlStore[] = [];
  const open = ({ host, port }: { readonly host: string; readonly port: number }): MysqlStore => {
    const connection = { ...database.options, host, port };
    // A letter of the largest size takes seconds to send on a busy machine. No outage here is a silence.
    const store = new MysqlStore({ connection, timeoutMs: 60_000 });
    stores.push(store);
    return store;
  };
  const reader = open(address).deadLetters();
  await reader.setup();
  const [rows] = await database.admin.query("SELECT @@max_allowed_packet AS packet");
  const [{ packet } = { packet: 0 }] = rows as { packet: number }[];
  return {
    maxDataBytes: Math.floor(packet / 2) - 8192,
    open: async () => open(proxy).deadLetters(),
    letters: () => allLetters(reader),
    breakConnection: () => proxy.cut(),
    restore: () => proxy.restore(),
    async [Symbol.asyncDispose]() {
      for (const store of stores) await store.close();
      await database.drop();
      await proxy.close();
    },
  };
}

for (const { name, address } of SERVERS) {
  deadLetterConformance(`MysqlStore's dead letters on ${name}`, () => harness(address));
}

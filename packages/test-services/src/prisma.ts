import { getPrismaClient } from "@prisma/client/runtime/client";

/** The `tx` of `prisma.$transaction(async (tx) => …)`, without models. */
export interface PrismaTransaction {
  $queryRawUnsafe(text: string): Promise<unknown>;
  $executeRaw(text: TemplateStringsArray, ...values: readonly unknown[]): Promise<number>;
}

export interface PrismaClient extends PrismaTransaction {
  $transaction<Value>(
    work: (tx: PrismaTransaction) => Promise<Value>,
    options?: { readonly maxWait?: number },
  ): Promise<Value>;
  $disconnect(): Promise<void>;
}

/** In Prisma's own format: there are no models with parameters. */
const NO_PARAMETERS = { strings: [], graph: Buffer.alloc(16).toString("base64") };

/**
 * A client of Prisma over one of its driver adapters, as `prisma generate` writes it for a schema
 * without models. This avoids the generator and its engine, which are 200 MB more than the client.
 */
export function openPrisma(provider: "postgresql" | "mysql", adapter: object): PrismaClient {
  const engine = `@prisma/client/runtime/query_compiler_small_bg.${provider}`;
  const Client = getPrismaClient({
    previewFeatures: [],
    clientVersion: "7.10.0",
    engineVersion: "none",
    activeProvider: provider,
    inlineSchema: `datasource db {\n  provider = "${provider}"\n}\n`,
    runtimeDataModel: { models: {}, enums: {}, types: {} },
    parameterizationSchema: NO_PARAMETERS,
    compilerWasm: {
      getRuntime: () => import(`${engine}.mjs`),
      getQueryCompilerWasmModule: async () => {
        const { wasm } = (await import(`${engine}.wasm-base64.mjs`)) as { readonly wasm: string };
        return compiled(Buffer.from(wasm, "base64"));
      },
      importName: "./query_compiler_small_bg.js",
    },
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the generator types it by the schema
  return new Client({ adapter } as never) as unknown as PrismaClient;
}

/** WebAssembly in Node, whose types are declared only for browsers. */
function compiled(wasm: Uint8Array): never {
  const { WebAssembly } = globalThis as unknown as {
    readonly WebAssembly: { readonly Module: new (wasm: Uint8Array) => never };
  };
  return new WebAssembly.Module(wasm);
}

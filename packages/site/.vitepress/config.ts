import { fileURLToPath } from "node:url";
import { defineConfig, type DefaultTheme } from "vitepress";
import { checkLinks } from "./check-links.ts";
import { linkFrom, NOT_PAGES, packageNames, ROOT, routeOf } from "./pages.ts";

const page = (text: string, link: string): DefaultTheme.SidebarItem => ({ text, link });
const packages = packageNames();

const sidebar: DefaultTheme.SidebarItem[] = [
  {
    text: "Start",
    items: [
      page("What it is", "/"),
      page("Getting started", "/getting-started"),
      page("Recipes", "/recipes"),
      page("Troubleshooting", "/troubleshooting"),
      page("Migrating", "/migrating"),
      page("Comparison", "/comparison"),
    ],
  },
  {
    text: "Guides",
    items: [
      page("Delivery semantics", "/delivery-semantics"),
      page("Many processes", "/groups"),
      page("Dead letters", "/dead-letters"),
      page("AWS Lambda", "/lambda"),
      page("Aggregates", "/aggregates"),
      page("Tuning", "/tuning"),
      page("Metrics and logs", "/metrics"),
      page("Health", "/health"),
      page("Performance", "/performance"),
      page("Writing a store", "/writing-a-store"),
    ],
  },
  {
    text: "Reference",
    items: [
      page("Configuration", "/configuration"),
      page("Errors", "/errors"),
      page("API", "/api/"),
      page("Features", "/features"),
      page("Versions", "/versions"),
    ],
  },
  {
    text: "Packages",
    collapsed: true,
    items: packages.map((name) => page(`@kc/${name}`, `/packages/${name}`)),
  },
  {
    text: "Project",
    collapsed: true,
    items: [
      page("How it is tested", "/testing"),
      page("Architecture", "/architecture"),
      page("Contributing", "/contributing"),
      page("Security", "/security"),
    ],
  },
];

/** The anchors that GitHub gives to headings: the pages are read there too. */
const slugify = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(/\s/g, "-");

export default defineConfig({
  title: "@kc",
  description: "Amazon Kinesis consumers in TypeScript",
  srcDir: ROOT,
  srcExclude: [...NOT_PAGES],
  outDir: "dist/site",
  cacheDir: "dist/cache",
  rewrites: (file) => routeOf(file) ?? file,
  cleanUrls: true,
  // The pages are outside of this package: what they import is this package's.
  vite: {
    resolve: {
      alias: ["vue/server-renderer", "vue"].map((find) => ({
        find: new RegExp(`^${find}$`),
        replacement: fileURLToPath(import.meta.resolve(find)),
      })),
    },
  },
  markdown: {
    anchor: { slugify },
    config(md) {
      md.core.ruler.push("links of the repository", ({ tokens, env }) => {
        const { path, realPath } = env as { readonly path: string; readonly realPath?: string };
        for (const token of tokens.flatMap(({ children }) => children ?? [])) {
          const href = token.type === "link_open" ? token.attrGet("href") : null;
          if (href !== null) token.attrSet("href", linkFrom(realPath ?? path, href));
        }
      });
    },
  },
  themeConfig: {
    nav: [
      page("Guide", "/getting-started"),
      page("API", "/api/"),
      page("Errors", "/errors"),
    ] as DefaultTheme.NavItem[],
    sidebar: {
      "/": sidebar,
      "/api/": [
        { text: "API", items: packages.map((name) => page(`@kc/${name}`, `/api/@kc/${name}/`)) },
        ...sidebar,
      ],
    },
    outline: [2, 3],
    search: { provider: "local" },
    socialLinks: [{ icon: "github", link: "https://github.com/kc-js/kc" }],
  },
  buildEnd: ({ outDir }) => checkLinks(outDir),
});

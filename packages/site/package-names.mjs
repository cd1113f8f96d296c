import { readFileSync } from "node:fs";
import { Converter } from "typedoc";

/**
 * A typedoc plugin: a module has the name that it is imported by, not the path of its entry point.
 * @param {import("typedoc").Application} app
 */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.children ?? []) {
      const [directory, entry] = module.sources?.[0]?.fullFileName.split("/src/") ?? [];
      const { name } = JSON.parse(readFileSync(`${directory}/package.json`, "utf8"));
      module.name = entry === "index.ts" ? name : `${name}/${entry.replace(/\.ts$/, "")}`;
    }
  });
}

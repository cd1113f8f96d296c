import { readFileSync } from "node:fs";
import { Converter } from "typedoc";

/**
 * A typedoc plugin: a package's module has the package's name, not the path of its entry point.
 * @param {import("typedoc").Application} app
 */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.children ?? []) {
      const directory = module.sources?.[0]?.fullFileName.replace(/\/src\/.*$/, "");
      const { name } = JSON.parse(readFileSync(`${directory}/package.json`, "utf8"));
      module.name = name;
    }
  });
}

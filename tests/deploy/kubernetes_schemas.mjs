// Holds Kubernetes objects against the API's schemas, offline: values by JSON schema, names of fields by
// the types, because the schemas forgive a field that does not exist.
//
//   node kubernetes_schemas.mjs TOOLS WORK <objects.json     TOOLS has node_modules/
//
// Prints a line for each fault; ends with 1 if there is one.

import {execFileSync} from "node:child_process";
import {mkdirSync, readFileSync, symlinkSync, writeFileSync, rmSync} from "node:fs";
import {join, resolve} from "node:path";
import {pathToFileURL} from "node:url";

const [tools, work] = process.argv.slice(2).map((path) => resolve(path));
const modules = join(tools, "node_modules");
const objects = JSON.parse(readFileSync(0, "utf8"));

function moduleOf(object) {
  const group = object.apiVersion;
  const room = group.startsWith("monitoring.coreos.com/")
    ? "@kubernetes-models/prometheus-operator"
    : "kubernetes-models";
  return `${room}/${group}/${object.kind}`;
}

let faults = 0;
let source = "";
for (const [number, object] of objects.entries()) {
  const name = `${object.kind} ${object.metadata?.name}`;
  const path = moduleOf(object);
  try {
    const models = await import(pathToFileURL(join(modules, `${path}.js`)));
    new models[object.kind](object).validate();
  } catch (failure) {
    faults += 1;
    console.log(`${name}: ${failure.message}`);
  }
  source += `// ${name}\nimport type {I${object.kind} as T${number}} from "${path}";\n` +
    `export const o${number}: T${number} = ${JSON.stringify(object, null, 1)};\n`;
}

rmSync(work, {recursive: true, force: true});
mkdirSync(work, {recursive: true});
symlinkSync(modules, join(work, "node_modules"));
writeFileSync(join(work, "objects.ts"), source);
writeFileSync(join(work, "tsconfig.json"), JSON.stringify({
  compilerOptions: {noEmit: true, strict: true, skipLibCheck: true, target: "es2022",
    module: "esnext", moduleResolution: "bundler", types: []},
  files: ["objects.ts"],
}));
try {
  execFileSync(process.execPath, [join(modules, "typescript/bin/tsc"), "--project", work],
    {encoding: "utf8"});
} catch (failure) {
  faults += 1;
  console.log(failure.stdout || failure.message);
}
process.exit(faults === 0 ? 0 : 1);

/** Imports go down only: a floor may use the floors below it, never one above. From the top down. */
const FLOORS = [
  ["index"],
  ["cli", "sdk", "mcp"],
  ["batch"],
  ["run"],
  ["engine", "guest", "files", "egress", "output", "images"],
  ["policy"],
  ["approval", "identity", "audit"],
  ["core"],
];

/** Where each third-party package may be imported: nowhere else, so that it can be replaced in one place. */
const HOMES = {
  chalk: ["^src/cli/"],
  commander: ["^src/cli/"],
  ora: ["^src/cli/"],
  dockerode: ["^src/engine/"],
  execa: ["^src/engine/", "^src/images/"],
  "csv-parse": ["^src/batch/"],
  diff: ["^src/files/"],
  ignore: ["^src/files/"],
  tldts: ["^src/egress/"],
  yaml: ["^src/policy/file/"],
  "@peculiar/x509": ["^src/identity/"],
  "reflect-metadata": ["^src/identity/"],
  "@modelcontextprotocol/sdk": ["^src/mcp/"],

  "tar-stream": ["^src/files/", "^src/engine/", "^src/images/"],
  zod: ["^src/(core|run|policy|batch|mcp)/[^/]*schema[^/]*\\.ts$"],
};

const folder = (names) => `^src/(${names.join("|")})(/|\\.ts$)`;
const installed = (name) => `(^|/)node_modules/(@types/)?${name}/`;

const floorRules = FLOORS.slice(1).map((floor, index) => ({
  name: `imports-go-down-only-${floor.join("-")}`,
  comment: `${floor.join(", ")} may not import what stands above: ${FLOORS.slice(0, index + 1)
    .flat()
    .join(", ")}.`,
  severity: "error",
  from: { path: folder(floor) },
  to: { path: folder(FLOORS.slice(0, index + 1).flat()) },
}));

/** `images` may use `engine`; `engine` knows of `images` only the port that it implements. */
const SIBLINGS = FLOORS.slice(4, 7).flatMap((floor) => floor.map((name) => ({ name, others: floor.filter((other) => other !== name) })));
const siblingRules = SIBLINGS.filter(({ others }) => others.length > 0).map(({ name, others }) => ({
  name: `siblings-do-not-know-each-other-${name}`,
  comment: `${name} declares what it needs as a small interface, and run/ plugs it together with the others.`,
  severity: "error",
  from: { path: folder([name]) },
  to: {
    path: folder(name === "images" ? others.filter((other) => other !== "engine") : others),
    ...(name === "engine" ? { pathNot: "^src/images/image-store\\.ts$" } : {}),
  },
}));

const homeRules = Object.entries(HOMES).map(([name, homes]) => ({
  name: `one-home-for-${name}`,
  comment: `${name} is imported below ${homes.join(", ")} only.`,
  severity: "error",
  from: { path: "^src/", pathNot: homes },
  to: { path: installed(name) },
}));

module.exports = {
  forbidden: [
    ...floorRules,
    ...siblingRules,
    ...homeRules,
    {
      name: "third-party-has-a-home",
      comment: "A new package gets its one folder in HOMES first.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "(^|/)node_modules/", pathNot: [...Object.keys(HOMES).map(installed), installed("@types/node")] },
    },
    {
      name: "batch-is-many-runs",
      comment: "A batch is made of runs: what is below a run is none of its business.",
      severity: "error",
      from: { path: "^src/batch/" },
      to: { path: "^src/", pathNot: "^src/(batch|run|policy|files|output|core)/" },
    },
    {
      name: "mcp-is-runs-as-tools",
      comment: "What is below a run is none of its business.",
      severity: "error",
      from: { path: "^src/mcp/" },
      to: { path: "^src/", pathNot: "^src/(mcp|run|policy|output|core)/" },
    },
    {
      name: "egress-is-judged-from-the-gate-down",
      comment: "The gate hands a connection to http/; names, places, TLS, accounts and secrets know of neither.",
      severity: "error",
      from: { path: "^src/egress/(names|places|tls|accounts|secrets)/" },
      to: { path: "^src/egress/(gate\\.ts|http/)" },
    },
    {
      name: "product-does-not-know-its-tests",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(test|scripts|bench)/" },
    },
    {
      name: "no-circular",
      comment: "Not by types alone either: what two files share stands in one below both.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "require", "node", "default", "types"] },
    skipAnalysisNotInRules: true,
  },
};

import manifest from "../../package.json" with { type: "json" };

/** Version of this package, as in its manifest. */
export const VERSION: string = manifest.version;

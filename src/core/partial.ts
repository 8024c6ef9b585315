/** What is put together beside its place carries this prefix until it is whole, so that what a killed process left can be recognised. */
export const PARTIAL_PREFIX = ".sandbox-partial-";

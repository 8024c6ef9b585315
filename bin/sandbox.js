#!/usr/bin/env node
import { main } from "../dist/cli.js";

// What is still open, such as an unread standard input or a connection to the engine, keeps no finished run from ending.
process.exit(await main(process.argv.slice(2)));

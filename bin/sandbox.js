#!/bin/sh
":" //; exec node -- "$0" "$@"
// For a shell the line above starts Node.js on this file, for Node.js it is a string and a comment. The `--` matters: without it Node.js itself takes
// `--env-file` and others from the arguments behind the script, and a file that is meant for the inside could set NODE_OPTIONS out here.
import { main } from "../dist/cli.js";

// What is still open, such as an unread standard input or a connection to the engine, keeps no finished run from ending.
process.exit(await main(process.argv.slice(2)));

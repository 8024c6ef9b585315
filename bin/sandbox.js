#!/bin/sh
":" //; SANDBOX_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS" NODE_EXTRA_CA_CERTS= exec node -- "$0" "$@"
// For a shell the line above starts Node.js on this file, for Node.js it is a string and a comment. The `--` matters: without it Node.js itself takes
// `--env-file` and others from the arguments behind the script, and a file that is meant for the inside could set NODE_OPTIONS out here. The certificates
// are read when they are needed: Node.js would read them at every start, which for a distribution's bundle takes longer than all the rest.
// CommonJS, since a module takes several milliseconds more to begin.
const argv = process.argv.slice(2);
if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) process.stdout.write(`${require("../package.json").version}\n`);
else
  import("../dist/cli.js")
    .then(({ main }) => main(argv))
    // What is still open, such as an unread standard input or a connection to the engine, keeps no finished run from ending.
    .then((status) => process.exit(status));

// Prints the answers that Plivo's own Node client records for its tests, of a list and of one message, one JSON a line.
const Module = require("module");
const load = Module._load;
Module._load = (name, ...more) => (name === "request" ? {} : load(name, ...more)); // nothing is sent
const { Request } = require(process.argv[2]);
const ask = Request({ authId: "id", authToken: "token", userAgent: "none", url: "none" });
Promise.all(["Message/", "Message/1/"].map((action) => ask("GET", action))).then((answers) =>
  answers.forEach((answer) => console.log(JSON.stringify(answer.body))),
);

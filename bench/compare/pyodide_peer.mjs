// Answers `bench/table.py` with pyodide: a new interpreter for each run that is timed, one for all computations.
import { createInterface } from "node:readline";
import { loadPyodide } from "pyodide";

let printed = "";
const load = () => loadPyodide({ stdout: (line) => (printed += line + "\n") });
const computing = await load();
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const times = [];
  printed = "";
  if (request.do === "run") {
    computing.runPython(request.source);
  } else {
    for (let round = 0; round < request.rounds; round++) {
      const began = process.hrtime.bigint();
      (await load()).runPython(request.source);
      times.push(Number(process.hrtime.bigint() - began));
    }
  }
  console.log(JSON.stringify({ ns: times, stdout: printed }));
}

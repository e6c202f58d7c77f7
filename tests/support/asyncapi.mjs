// The official AsyncAPI parser over one file: prints every finding, ends with 1 where there is any.
import { Parser, fromFile } from '@asyncapi/parser';

const { document, diagnostics } = await fromFile(new Parser(), process.argv[2]).parse();
for (const { code, path, message } of diagnostics) console.log(code, path.join('.'), message);
console.log(`${process.argv[2]}: ${diagnostics.length} findings`);
process.exit(document && diagnostics.length === 0 ? 0 : 1);

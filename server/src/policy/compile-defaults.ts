// Writes defaults/compiled.json; run it after changing a default policy or the schema:
//   node server/src/policy/compile-defaults.ts && npm run fix
import { writeFileSync } from 'node:fs'
import { compile, compiledFile, readDefaults } from './default-policies.ts'

writeFileSync(compiledFile, `${JSON.stringify(compile(readDefaults()))}\n`)

#!/usr/bin/env node
// Starts Keyward on Node 24 or newer. On an older Node it uses the one that npm installed beside this package.
// In the repository it runs from source; in the published package from the compiled files.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire, enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

const major = Number(process.versions.node.split('.')[0])
const built = new URL('../dist/bin.js', import.meta.url)
const entry = existsSync(built) ? built : new URL('../src/bin.ts', import.meta.url)

if (major >= 24) {
  enableCompileCache()
  await import(entry.href)
} else {
  const name = `node-${process.platform}-${process.arch}`
  let node
  try {
    node = createRequire(import.meta.url).resolve(`${name}/bin/node`)
  } catch {
    process.stderr.write(
      `keyward: this is Node ${process.versions.node}; Keyward needs Node 24 or newer.\n` +
        `The package ${name}, which brings one, is not installed. Run: npm install node@24\n`,
    )
    process.exit(2)
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    if (signal) process.kill(process.pid, signal)
    else process.exit(code ?? 1)
  })
}

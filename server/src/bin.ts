import { readFileSync } from 'node:fs'
import { createCli } from './cli/index.ts'

const { version }: { version: string } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
)

// A reader that closed early (`keyward audit list | head`) is no failure of ours.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit()
    throw error
  })
}

const cli = createCli({
  streams: process,
  env: process.env,
  cwd: process.cwd(),
  version,
  loadMain: () => import('./main.ts'),
})

// Not process.exit: output to a pipe may still be on its way.
process.exitCode = await cli.run(process.argv.slice(2))

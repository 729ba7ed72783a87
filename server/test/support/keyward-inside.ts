// The command line in the test's own process, for what its commands say, ask and do: a process costs as much as fifty of them.
// How it begins and ends as a process is tried by the tests that start one, of which each file of commands keeps some.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { createCli } from '../../src/cli/index.ts'
import { cleanUp } from './clean-up.ts'
import type { Shell } from './keyward-command.ts'

/** As `openShell`, but nothing is started; a command that starts the server, or hands its streams on, needs that one. */
export function openShellInside(t: TestContext, env: Record<string, string> = {}): Shell {
  // The test runner sets it where it writes to a terminal; what is kept here is none.
  delete process.env['FORCE_COLOR']
  const home = mkdtempSync(join(tmpdir(), 'keyward-cli-'))
  cleanUp(t, () => rmSync(home, { recursive: true, force: true }))
  const base = { PATH: process.env['PATH'] ?? '', HOME: home, ...env }
  return {
    home,
    async keyward(args, more = {}) {
      const [stdout, stderr] = [keptText(), keptText()]
      const stdin = Readable.from(more.input ? [Buffer.from(more.input)] : [])
      const cli = createCli({
        streams: { stdin, stdout: stdout.stream, stderr: stderr.stream },
        env: { ...base, ...more.env },
        cwd: home,
        version: '0.0.0',
        loadMain: () => Promise.reject(new Error('This command line starts no server.')),
      })
      const code = await cli.run(args)
      return { code, stdout: stdout.text(), stderr: stderr.text() }
    },
  }
}

function keptText(): { stream: Writable; text(): string } {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(chunk)
      done()
    },
  })
  return { stream, text: () => Buffer.concat(chunks).toString() }
}

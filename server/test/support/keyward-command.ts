// Runs the real command as a user does: its own process, a home folder of its own.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cleanUp } from './clean-up.ts'
import { mayBeMissing } from './needed.ts'

/** The compile cache of the user who runs the tests: without it each start with a home of its own compiles everything anew. */
export const compiledBefore: { readonly XDG_CACHE_HOME?: string } = process.env['HOME']
  ? { XDG_CACHE_HOME: join(process.env['HOME'], '.cache') }
  : {}

export const launcher = fileURLToPath(new URL('../../bin/keyward.mjs', import.meta.url))

/** Why tests at a terminal are skipped, or false. */
export const terminalMissing = scriptWorks()
  ? false
  : mayBeMissing('script(1) of util-linux, which gives a terminal, is missing')

function scriptWorks(): boolean {
  try {
    return execFileSync('script', ['--version'], { encoding: 'utf8' }).includes('util-linux')
  } catch {
    return false
  }
}

export type Outcome = { readonly code: number; readonly stdout: string; readonly stderr: string }

export type Shell = {
  /** Home of the user, and the folder where the command runs. */
  readonly home: string
  keyward(args: readonly string[], more?: { env?: Record<string, string>; input?: string }): Promise<Outcome>
}

export function openShell(t: TestContext, env: Record<string, string> = {}): Shell {
  const home = mkdtempSync(join(tmpdir(), 'keyward-cli-'))
  cleanUp(t, () => rmSync(home, { recursive: true, force: true }))
  const base = { PATH: process.env['PATH'] ?? '', HOME: home, ...compiledBefore, ...env }
  return {
    home,
    keyward: (args, more = {}) =>
      runToEnd(
        process.execPath,
        [launcher, ...args],
        { cwd: home, env: { ...base, ...more.env } },
        more.input ?? '',
      ),
  }
}

export function runToEnd(
  program: string,
  args: readonly string[],
  options: { cwd: string; env: Record<string, string> },
  input: string,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: 'pipe' })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.once('error', reject)
    child.once('close', (code, signal) =>
      resolve({ code: code ?? -1, stdout, stderr: signal ? `${stderr}[${signal}]` : stderr }),
    )
    // A command that reads no input may end before it has been written.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

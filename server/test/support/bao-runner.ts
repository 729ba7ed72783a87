import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { cleanUp } from './clean-up.ts'

export type Ran = { code: number; out: string; err: string }
export type Run = (...args: string[]) => Promise<Ran>

/** Runs `bao` with a home of its own, so that no token or setting of the machine reaches it. */
export function runner(
  t: TestContext,
  path: string,
  url: string,
  token: string | undefined,
  format = 'table',
): Run {
  const run = inputRunner(t, path, url, token, format)
  return (...args) => run('', ...args)
}

/** The same with something to read on standard input, where secrets are given. */
export function inputRunner(
  t: TestContext,
  path: string,
  url: string,
  token: string | undefined,
  format = 'table',
): (input: string, ...args: string[]) => Promise<Ran> {
  const home = mkdtempSync(join(tmpdir(), 'keyward-bao-'))
  cleanUp(t, () => rmSync(home, { recursive: true, force: true }))
  const env = {
    HOME: home,
    BAO_ADDR: url,
    BAO_FORMAT: format,
    PATH: '/usr/bin:/bin',
    ...(token === undefined ? {} : { BAO_TOKEN: token }),
  }
  return (input, ...args) =>
    new Promise((resolve) => {
      const child = execFile(path, args, { env }, (error, out, err) => {
        resolve({ code: error ? Number(error.code ?? 1) : 0, out, err })
      })
      // A command that reads nothing may be gone already.
      child.stdin?.on('error', () => undefined)
      child.stdin?.end(input)
    })
}

/** What it prints, when it succeeds. */
export async function succeeds(running: Promise<Ran>): Promise<string> {
  const { code, out, err } = await running
  assert.equal(code, 0, err)
  return out
}

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { mayBeMissing } from './needed.ts'

type Outcome = { readonly code: number; readonly text: string }
type Tool = 'promtool' | 'amtool'

/** Runs a tool of Prometheus or Alertmanager: one on PATH, or that which `prerequisites.mjs` took out of Debian's package. */
export function monitoringToolOrSkip(
  t: { skip(reason: string): void },
  tool: Tool,
): ((args: readonly string[], input?: string) => Outcome) | undefined {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'keyward-tests')
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), join(cache, 'monitoring')]
  const program = folders.map((folder) => join(folder, tool)).find((path) => existsSync(path))
  if (!program) {
    t.skip(mayBeMissing(`there is no ${tool}`))
    return undefined
  }
  return (args, input = '') => {
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', input })
    return { code: status ?? -1, text: `${stdout}${stderr}` }
  }
}

import { spawn } from 'node:child_process'
import { installCommand, type Sandbox } from '../sandbox/index.ts'
import type { Screen } from './screen.ts'

/**
 * Makes sure that tasks can be isolated: installs bubblewrap where it may, having said so; else names the line to run. Who has
 * chosen another driver is told what that one lacks.
 */
export async function ensureIsolation(
  sandbox: Pick<Sandbox, 'probe' | 'driver'>,
  screen: Screen,
): Promise<void> {
  const probe = await screen.progress('Trying out the sandbox')
  const { level, reasons } = await sandbox.probe()
  probe.done(level === 'none' ? 'The sandbox does not work here yet' : `The sandbox holds (${level})`)
  if (level !== 'none') return
  const driver = sandbox.driver()
  if (driver !== 'auto' && driver !== 'bubblewrap') {
    const chosen = `KEYWARD_SANDBOX has chosen ${driver}, and nothing else is used instead.`
    screen.say([...reasons, chosen, stepRefused].join('\n'))
    return
  }
  const advice = installCommand()
  if (!advice.allowed || advice.command.length === 0) {
    screen.say([...reasons, `To isolate agents, run: ${advice.line}`, stepRefused].join('\n'))
    return
  }
  if (!(await screen.ask(`Install bubblewrap, which isolates agents? (${advice.line})`))) return
  const work = screen.progress(`Installing bubblewrap: ${advice.line}`)
  const code = await run(advice.command)
  const after = await sandbox.probe()
  work.done(
    code === 0 && after.level !== 'none'
      ? `The sandbox holds (${after.level})`
      : `Not isolated: ${after.reasons.join(' ')}`,
  )
}

const stepRefused = 'The rest goes on; the sandboxed step is refused.'

function run([program = '', ...args]: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'ignore' })
    child.once('error', () => resolve(127))
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

import { resolve } from 'node:path'
import type { Command } from 'commander'
import { commandGroup, localCommand } from '../command.ts'
import { exitNegative } from '../exit-code.ts'
import { findHooks, installHook, uninstallHook } from '../hook.ts'
import type { CommandNeeds } from '../needs.ts'
import { printable } from '../printable.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'cwd' | 'answer'>
type Options = { readonly json?: boolean; readonly baseline?: string }

export const hookCommand = (needs: Needs): Command =>
  commandGroup('hook', 'The git hook that looks at each commit before it is made', [
    installCommand(needs),
    uninstallCommand(needs),
  ])

function installCommand({ terminal, env, cwd }: Needs): Command {
  return localCommand({
    usage: 'install [path]',
    summary: 'Look through what is staged, before each commit',
    details: 'A hook that is there already is kept and runs first.',
    examples: ['keyward hook install', 'keyward hook install ~/shop --baseline .keyward-baseline'],
  })
    .option('--baseline <file>', 'what is known, from the top of the repository')
    .action(async (path: string | undefined, { json, baseline }: Options) => {
      const place = await findHooks(resolve(cwd, path ?? '.'), env)
      const state = await installHook(place, baseline)
      if (json) terminal.json({ installed: true, ...state })
      else
        terminal.write(
          `Installed ${printable(state.path)}${state.earlier ? '; the hook that was there runs first' : ''}.\n`,
        )
    })
}

function uninstallCommand({ terminal, env, cwd, answer }: Needs): Command {
  return localCommand({
    usage: 'uninstall [path]',
    summary: 'Take the hook away, and put back what was there before it',
    details: 'Exit code 1 when there is no hook of Keyward.',
    examples: ['keyward hook uninstall'],
  }).action(async (path: string | undefined, { json }: Options) => {
    const state = await uninstallHook(await findHooks(resolve(cwd, path ?? '.'), env))
    if (!state) answer(exitNegative)
    if (json) terminal.json({ installed: false, ...(state ?? { path: null, earlier: false }) })
    else if (!state) terminal.note('keyward: there is no hook of Keyward.')
    else
      terminal.write(
        `Removed ${printable(state.path)}${state.earlier ? '; the hook from before it is back' : ''}.\n`,
      )
  })
}

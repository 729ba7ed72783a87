// Runs what connectors would run in a sandbox, on this machine, with the values in place of placeholders: for what a connector says and
// keeps to. That nothing leaves the sandbox is tried with real ones.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { SandboxedForConnectors } from '../../src/connectors/index.ts'

type Command = Parameters<SandboxedForConnectors['run']>[1]

const put = (folder: string, path: string, content: string): void => {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), content)
}

/** Of the names and contents of all files. */
function digestOfFolder(folder: string): string {
  const digest = createHash('sha256')
  for (const path of globSync('**/*', { cwd: folder }).sort())
    if (statSync(join(folder, path)).isFile())
      digest.update(`${path}\0`).update(readFileSync(join(folder, path)))
  return digest.digest('hex')
}

/** `root` is a folder of the test; what is kept lies in it by the id of its artifact. */
export function createLocalCommands(root: string, secretOf: (field: string) => string) {
  let runs = 0

  function workspaceOf({ workspace }: Command): string {
    const folder = mkdtempSync(join(root, 'work-'))
    const from = workspace && ('folder' in workspace ? workspace.folder : join(root, workspace.artifact.id))
    if (from !== undefined) cpSync(from, folder, { recursive: true })
    return folder
  }

  const sandboxed: SandboxedForConnectors = {
    async run(_, command) {
      runs++
      const [folder, home] = [workspaceOf(command), mkdtempSync(join(root, 'home-'))]
      for (const [path, content] of Object.entries(command.files ?? {})) put(folder, path, content)
      for (const [path, value] of Object.entries(command.secretFiles ?? {})) put(home, path, value.reveal())
      const lent = (command.secrets ?? []).map(({ field, variable }) => [variable, secretOf(field)])
      const [program, ...words] = command.command
      const child = spawn(program, words, {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH: process.env['PATH'], HOME: home, ...command.environment, ...Object.fromEntries(lent) },
      })
      const closed = once(child, 'close')
      const [stdoutTail, stderrTail] = await Promise.all([text(child.stdout), text(child.stderr)])
      await closed
      const read = (command.read ?? []).filter((path) => existsSync(join(folder, path)))
      const id = `art_local_${runs}`
      if (command.keep) cpSync(folder, join(root, id), { recursive: true })
      return {
        exitCode: child.exitCode,
        signal: child.signalCode,
        limit: null,
        durationMs: 0,
        stdoutTail,
        stderrTail,
        files: new Map(read.map((path) => [path, readFileSync(join(folder, path))])),
        ...(command.keep ? { artifact: { id, digest: digestOfFolder(folder), sizeBytes: 1 } } : {}),
      }
    },
    ended: async () => undefined,
  }
  return {
    sandboxed,
    runs: () => runs,
    /** As a checkout leaves it. */
    keep(id: string, files: Record<string, string>) {
      for (const [path, content] of Object.entries(files)) put(join(root, id), path, content)
      return { id, digest: digestOfFolder(join(root, id)), sizeBytes: 1 }
    },
  }
}

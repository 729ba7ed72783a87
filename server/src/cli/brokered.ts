import { access, constants, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { getCACertificates } from 'node:tls'
import { type ArgumentsOf, api, type PassageLogin, type PassageSsh } from '@keyward/contract'
import { AppError, egressVariables, reasonOf, Secret } from '../core/index.ts'
import { runChild } from './child-process.ts'
import type { Client } from './client.ts'
import { type Referring, resolvedVariables } from './env-references.ts'
import { openLocalProxy } from './local-proxy.ts'
import { openLogins } from './login-ways.ts'
import type { Environment } from './places.ts'
import { openSsh } from './ssh-way.ts'
import type { Terminal } from './terminal.ts'

export type Brokered = Omit<ArgumentsOf<typeof api.passages.open>, 'command' | 'references'>

type Work = {
  readonly client: Client
  readonly terminal: Terminal
  readonly cwd: string
  readonly command: string
  readonly args: readonly string[]
  readonly variables: Environment
  readonly referring: readonly Referring[]
  readonly wanted: Brokered
}

const keepMs = 5000
/** What speaks to this machine alone needs no proxy. */
const local = 'localhost,127.0.0.1,::1'

/** Runs a command with placeholders for its references and the egress proxy as its way out. Resolves with its exit code. */
export async function runBrokered(work: Work): Promise<number> {
  const { client, command, referring, wanted } = work
  const opened = await client.call(api.passages.open, {
    ...wanted,
    command: basename(command).slice(0, 200),
    references: [...new Set(referring.flatMap(({ references }) => references))],
  })
  const { id: passageId } = opened.passage
  const keeping = keep(work, passageId)
  try {
    return await runInside(work, opened)
  } finally {
    keeping.stop()
    await client
      .call(api.passages.close, { passageId })
      .catch((error: unknown) =>
        work.terminal.note(
          `keyward: the passage ${passageId} ends by itself; it could not be closed: ${reasonOf(error)}`,
        ),
      )
  }
}

type Opened = {
  socketPath: string
  caPem: string
  placeholders: Readonly<Record<string, string>>
  logins: readonly PassageLogin[]
  ssh: PassageSsh | null
}

async function runInside(
  work: Work,
  { socketPath, caPem, placeholders, logins, ssh }: Opened,
): Promise<number> {
  await access(socketPath, constants.R_OK | constants.W_OK).catch(() => {
    const detail = `its socket is not on this machine, or belongs to another user. Run the command as the user of the server, or use "keyward connect"`
    throw new AppError('egress.unavailable', detail)
  })
  // Beside the socket, in a folder of this user alone that goes with the passage, however that ends.
  const folder = dirname(socketPath)
  const certificates = { added: join(folder, 'ca.pem'), whole: join(folder, 'all.pem'), direct: local }
  await writeFile(certificates.added, caPem, { mode: 0o600 })
  await writeFile(certificates.whole, [caPem, ...getCACertificates('default')].join('\n'), { mode: 0o600 })
  const dial = () => createConnection(socketPath)
  const proxy = await openLocalProxy({ dial })
  const ways = await openLogins({ logins, placeholders, dial })
  const keyed = ssh ? await openSsh({ ssh, folder, dial }) : undefined
  try {
    const { command, args, cwd, terminal, variables, referring } = work
    const values = new Map(Object.entries(placeholders).map(([name, text]) => [name, new Secret(text)]))
    // A token could fetch the values: what a command does not need, it does not get.
    const { KEYWARD_TOKEN: _, VAULT_TOKEN: __, ...passedOn } = variables
    const env = {
      ...passedOn,
      ...resolvedVariables(referring, values),
      ...egressVariables(proxy.url, certificates),
      ...ways.variables,
      ...keyed?.variables,
    }
    return await runChild(command, args, { env, cwd, terminal: terminal.interactive })
  } finally {
    keyed?.close()
    ways.close()
    proxy.close()
  }
}

/** Says again and again that the command runs. What the server does not hear for 20 seconds is over. */
function keep({ client, terminal }: Work, passageId: string): { stop(): void } {
  let told = false
  const timer = setInterval(() => {
    client.call(api.passages.keep, { passageId }).then(
      () => {
        told = false
      },
      (error: unknown) => {
        const over = error instanceof AppError && error.code === 'passage.ended'
        if (over) clearInterval(timer)
        if (!told) terminal.note(`keyward: the way out of this command: ${reasonOf(error)}`)
        told = true
      },
    )
  }, keepMs)
  return { stop: () => clearInterval(timer) }
}

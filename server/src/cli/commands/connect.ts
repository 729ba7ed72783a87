import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { connect as connectTls, getCACertificates, type TLSSocket } from 'node:tls'
import { type Command, InvalidArgumentError } from 'commander'
import { AppError, egressVariables, parseListen, reasonOf } from '../../core/index.ts'
import { runChild } from '../child-process.ts'
import { type CommonOptions, serverCommand, wholeNumber } from '../command.ts'
import { connect } from '../connect.ts'
import { openLocalProxy } from '../local-proxy.ts'
import { openWay, type Way } from '../login-ways.ts'
import { issueMachineIdentity, type MachineIdentity, readMachineIdentity } from '../machine-identity.ts'
import type { CommandNeeds } from '../needs.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'cwd' | 'answer'>
type Options = CommonOptions & {
  readonly identity: string
  readonly remote?: string
  readonly port?: number
  readonly forward?: readonly Forward[]
}
/** A port of loopback, and the destination that it leads to. */
type Forward = { readonly port: number; readonly to: string }

const checkMs = 60_000

export function connectCommand(needs: Needs): Command {
  const { terminal, env, cwd, answer } = needs
  return serverCommand({
    usage: 'connect <command> [arguments...]',
    summary: 'Run a command of an agent behind the proxy of another machine',
    details:
      'Opens a proxy on loopback with a password of its own, and hands on what passes by TLS with the certificate of --identity.\n' +
      'The command finds it, and the authority that signs for destinations, in the variables by which programs look for them. With the\n' +
      "agent's API key in KEYWARD_TOKEN the certificate is renewed before its time is over; the command does not get the key.\n" +
      "The exit code is the command's.",
    examples: [
      'keyward connect --identity ~/.config/keyward/shop-bot -- node agent.mjs',
      'keyward connect --identity ./shop-bot --remote keyward.example.com:8443 -- python agent.py',
    ],
  })
    .requiredOption('--identity <folder>', 'of "keyward agents certificate --out"')
    .option(
      '--remote <host:port>',
      "where the server listens for agents' machines (default: as told when it was issued)",
    )
    .option('--port <n>', 'of the local proxy (default: any that is free)', wholeNumber(1, 65_535))
    .option(
      '--forward <port=host:port>',
      'a port of loopback that leads to a database which is lent, for clients that know no proxy; can be repeated',
      addForward,
    )
    .passThroughOptions()
    .action(async (command: string, args: string[], options: Options) => {
      const folder = resolve(cwd, options.identity)
      const holder = await holdIdentity(needs, options, folder)
      const { host, port } = remoteOf(options, holder.current())
      const dialled = () => dial(holder.current(), host, port)
      const proxy = await openLocalProxy({ dial: dialled, ...portOf(options) })
      const trust = await writeTrust(holder.current())
      const ways: Way[] = []
      try {
        for (const way of options.forward ?? []) ways.push(await openWay({ dial: dialled, ...way }))
        const { KEYWARD_TOKEN: _, VAULT_TOKEN: __, ...passedOn } = env
        const variables = { ...passedOn, ...egressVariables(proxy.url, trust) }
        answer(await runChild(command, args, { env: variables, cwd, terminal: terminal.interactive }))
      } finally {
        holder.stop()
        for (const way of ways) way.close()
        proxy.close()
        await rm(trust.folder, { recursive: true, force: true })
      }
    })
}

function addForward(text: string, earlier: readonly Forward[] = []): Forward[] {
  const [, port, to] = /^(\d{1,5})=([^\s=]+:\d{1,5})$/.exec(text) ?? []
  if (port === undefined || to === undefined || Number(port) > 65_535)
    throw new InvalidArgumentError('Write it like: 5432=db.example.com:5432')
  return [...earlier, { port: Number(port), to }]
}

const portOf = ({ port }: Options): { port?: number } => (port === undefined ? {} : { port })

function remoteOf({ remote }: Options, { address }: MachineIdentity): { host: string; port: number } {
  const written = remote ?? address
  if (written) return parseListen(written, '--remote')
  throw new AppError('request.invalid', 'where the server listens is not known. Give --remote host:port')
}

function dial(
  { certificatePem, keyPem, authorityPem }: MachineIdentity,
  host: string,
  port: number,
): TLSSocket {
  return connectTls({
    host,
    port,
    servername: /^[\d.]+$|:/.test(host) ? '' : host,
    cert: certificatePem,
    key: keyPem.reveal(),
    ca: authorityPem,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['http/1.1'],
  })
}

/** What does not go through the proxy is still checked against what this machine trusts. */
async function writeTrust({ egressAuthorityPem }: MachineIdentity) {
  const folder = await mkdtemp(join(tmpdir(), 'keyward-connect-'))
  const trust = { added: join(folder, 'ca.pem'), whole: join(folder, 'all.pem') }
  await writeFile(trust.added, egressAuthorityPem)
  await writeFile(trust.whole, [egressAuthorityPem, ...getCACertificates('default')].join('\n'))
  return { ...trust, folder, direct: 'localhost,127.0.0.1,::1' }
}

/** The identity as it is now: renewed in its last third, where somebody's token allows that. */
async function holdIdentity(needs: Needs, options: Options, folder: string) {
  let current = await readMachineIdentity(folder)
  const renew = async (): Promise<void> => {
    const { validFrom, validUntil, agentId } = current
    const life = validUntil.getTime() - validFrom.getTime()
    if (validUntil.getTime() - Date.now() > life / 3) return
    const client = await connect(needs, options)
    current = await issueMachineIdentity(client, folder, { agentId, ttlSeconds: Math.round(life / 1000) })
  }
  const tell = (error: unknown): void =>
    needs.terminal.note(
      `keyward: the certificate, valid until ${current.validUntil.toISOString()}, is not renewed: ${reasonOf(error)}`,
    )
  await renew().catch(tell)
  const timer = setInterval(() => void renew().catch(tell), checkMs)
  return { current: () => current, stop: () => clearInterval(timer) }
}

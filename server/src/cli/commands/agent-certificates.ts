import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { api, type CertificateView } from '@keyward/contract'
import type { Command } from 'commander'
import { AppError } from '../../core/index.ts'
import { agentIdOf } from '../agent-id.ts'
import { type CommonOptions, serverCommand, wholeNumber } from '../command.ts'
import { connect } from '../connect.ts'
import { type ListOptions, shortTime, showList, withListOptions } from '../lists.ts'
import { issueMachineIdentity } from '../machine-identity.ts'
import type { CommandNeeds } from '../needs.ts'
import type { Column } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'cwd'>
type IssueOptions = CommonOptions & { readonly out?: string; readonly csr?: string; readonly ttl?: number }

export function certificateCommand(needs: Needs): Command {
  const { terminal, cwd } = needs
  return serverCommand({
    usage: 'certificate <agent>',
    summary: 'Have a certificate issued for an agent on another machine',
    details:
      'With --out the key is made on this machine, stays in that folder, and "keyward connect" uses both. With --csr the request of ' +
      'a key of yours is signed, and the certificate goes to standard output. An agent may have its own issued, with its API key.',
    examples: [
      'keyward agents certificate shop-bot --out ~/.config/keyward/shop-bot',
      'keyward agents certificate shop-bot --csr machine.csr --ttl 604800 > machine.pem',
    ],
  })
    .option('--out <folder>', 'where key and certificates go')
    .option('--csr <file>', 'a signing request in PEM, instead of a new key')
    .option('--ttl <seconds>', 'how long it lives (default: a day)', wholeNumber(60, 2_592_000))
    .action(async (agent: string, { out, csr, ttl, ...options }: IssueOptions) => {
      if ((out === undefined) === (csr === undefined))
        throw new AppError('request.invalid', 'give --out for a new key, or --csr for the request of another')
      const client = await connect(needs, options)
      const agentId = await agentIdOf(client, agent)
      if (csr !== undefined) {
        const signingRequest = await readFile(resolve(cwd, csr), 'utf8')
        const issued = await client.call(api.certificates.issue, { agentId, signingRequest, ttlSeconds: ttl })
        return options.json ? terminal.json(issued) : terminal.write(issued.certificatePem)
      }
      const folder = resolve(cwd, out ?? '')
      const { validUntil, address } = await issueMachineIdentity(client, folder, { agentId, ttlSeconds: ttl })
      if (options.json) return terminal.json({ folder, validUntil: validUntil.toISOString(), address })
      terminal.note(
        `The certificate is valid until ${validUntil.toISOString()}. Key and certificates: ${folder}`,
      )
      if (address === null)
        terminal.note('The server does not listen for other machines: KEYWARD_EGRESS_LISTEN.')
    })
}

export function certificatesCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<CertificateView>[] = [
    { title: 'id', value: ({ id }) => id },
    {
      title: 'state',
      value: ({ state }) => state,
      paint: (text, { state }) => terminal.tint(state === 'valid' ? 'green' : 'dim', text),
    },
    { title: 'fingerprint', value: ({ fingerprint }) => fingerprint.slice(0, 16) },
    { title: 'until', value: ({ revokedAt, expiresAt }) => shortTime(revokedAt ?? expiresAt) },
    { title: 'last seen', value: ({ lastSeenAt }) => shortTime(lastSeenAt) },
    { title: 'issued by', value: ({ issuedBy }) => issuedBy, shrink: true },
  ]
  return withListOptions(
    serverCommand({
      usage: 'certificates <agent>',
      summary: 'Certificates of an agent, newest first',
      examples: ['keyward agents certificates shop-bot'],
    }),
  ).action(async (agent: string, options: ListOptions) => {
    const client = await connect(needs, options)
    const agentId = await agentIdOf(client, agent)
    await showList(terminal, options, columns, (paging) =>
      client.call(api.certificates.list, { ...paging, agentId }),
    )
  })
}

export function revokeCertificateCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'revoke-certificate <certificateId>',
    summary: 'Refuse a certificate from now on, and cut its connections',
    examples: ['keyward agents revoke-certificate crt_01 --reason "The machine was lost"'],
  })
    .requiredOption('--reason <text>', 'why; recorded')
    .action(async (certificateId: string, options: CommonOptions & { reason: string }) => {
      const client = await connect(needs, options)
      const certificate = await client.call(api.certificates.revoke, {
        certificateId,
        reason: options.reason,
      })
      if (options.json) return terminal.json(certificate)
      terminal.note(`The certificate ${certificate.id} is ${certificate.state}.`)
    })
}

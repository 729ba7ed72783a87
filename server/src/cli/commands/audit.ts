import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type AuditEntry, type AuditHead, api } from '@keyward/contract'
import type { Command } from 'commander'
import { type VerifyReport, verifyAudit } from '../../audit/index.ts'
import { AppError } from '../../core/index.ts'
import { entriesUpTo, exportedEntries, exportedHead, exportLines } from '../audit-export.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { exitNegative } from '../exit-code.ts'
import { failureLine, problemOf } from '../failure.ts'
import { type ListOptions, shortTime, showList, withListOptions } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { writePrivateFile } from '../private-file.ts'
import { createRememberedHeads } from '../remembered-heads.ts'
import { type Column, renderFacts } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'cwd' | 'answer'>

export const auditCommand = (needs: Needs): Command =>
  commandGroup('audit', 'The audit log: read, export, verify', [
    listCommand(needs),
    headCommand(needs),
    exportCommand(needs),
    verifyCommand(needs),
  ])

type Filter = { readonly type?: string; readonly correlation?: string; readonly oldestFirst?: boolean }

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<AuditEntry>[] = [
    { title: 'seq', value: ({ seq }) => seq, align: 'right' },
    { title: 'at', value: ({ at }) => shortTime(at) },
    { title: 'type', value: ({ type }) => type },
    {
      title: 'outcome',
      value: ({ outcome }) => outcome,
      paint: (text, { outcome }) =>
        outcome === 'denied' || outcome === 'failed' ? terminal.tint('red', text) : text,
    },
    { title: 'actor', value: ({ actor }) => actor, shrink: true },
    { title: 'target', value: ({ target }) => target, shrink: true },
  ]
  return withListOptions(
    serverCommand({
      usage: 'list',
      summary: 'Audit entries, newest first',
      examples: [
        'keyward audit list --type secret.revealed',
        'keyward audit list --correlation run_01 --json',
      ],
    }),
  )
    .option('--type <name>', 'of this event only')
    .option('--correlation <id>', 'of this run, request or scan only')
    .option('--oldest-first', 'from the first entry on')
    .action(async ({ type, correlation, oldestFirst, ...options }: ListOptions & Filter) => {
      const client = await connect(needs, options)
      const order = oldestFirst ? 'asc' : 'desc'
      await showList(terminal, options, columns, (paging) =>
        client.call(api.audit.list, { ...paging, type, correlation, order }),
      )
    })
}

function headCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'head',
    summary: 'The signed head of the chain',
    details: 'Keep it somewhere else: whoever has it can later prove that nothing before it was removed.',
    examples: ['keyward audit head --json > head-2026-01-02.json'],
  }).action(async (options: CommonOptions) => {
    const head = await (await connect(needs, options)).call(api.audit.head, {})
    if (options.json) return terminal.json(head)
    terminal.write(
      renderFacts([
        ['Entries', head.seq],
        ['Hash', head.hash],
        ['At', head.at],
        ['Signature', head.signature],
      ]),
    )
    terminal.write(head.publicKey)
  })
}

function exportCommand(needs: Needs): Command {
  const { terminal, cwd } = needs
  return serverCommand({
    usage: 'export <file>',
    summary: 'Write the whole chain with its signed head to a file',
    details:
      'JSON lines: an entry each, oldest first; the last line is the signed head. The file proves itself without the\n' +
      'server: keyward audit verify FILE. Only its owner can read it. - is standard output.',
    examples: ['keyward audit export audit.jsonl', 'keyward audit export - | gzip > audit.jsonl.gz'],
  })
    .option('--force', 'replace the file when it exists')
    .action(async (file: string, options: CommonOptions & { force?: boolean }) => {
      const path = file === '-' ? undefined : resolve(cwd, file)
      if (path !== undefined && !options.force) await refuseExisting(path)
      const client = await connect(needs, options)
      const head = await client.call(api.audit.head, {})
      if (path === undefined) {
        for await (const line of exportLines(client, head)) terminal.write(line)
        return
      }
      await writePrivateFile(path, exportLines(client, head))
      if (options.json) terminal.json({ file: path, entries: head.seq, hash: head.hash })
      else terminal.note(`Wrote ${head.seq} entries to ${path}. Verify it: keyward audit verify ${file}`)
    })
}

async function refuseExisting(path: string): Promise<void> {
  const existing = await stat(path).catch(() => undefined)
  if (existing) throw new AppError('request.invalid', `${path} exists. Say --force to replace it`)
}

type VerifyOptions = CommonOptions & { readonly key?: string; readonly forget?: boolean }

function verifyCommand(needs: Needs): Command {
  const { terminal, answer } = needs
  return serverCommand({
    usage: 'verify [file]',
    summary: 'Prove that no entry was changed, removed or moved',
    details:
      'Computes every hash and link here, checks that no number is missing, checks the signature of the head, and that\n' +
      'the chain is as long as the head says. With a file (see "keyward audit export") no server is asked. For a server,\n' +
      'the head that verified is remembered: a chain that was cut later, or signed by another key, does not pass.\n' +
      'Exit code 0 verified, 1 not verified, 2 it could not be checked.',
    examples: ['keyward audit verify', 'keyward audit verify audit.jsonl --key keyward-audit.pem'],
  })
    .option('--key <file>', 'the public key that you trust, PEM; without it the one in the head')
    .option('--forget', 'forget the head and key remembered for this server, after a restore from backup')
    .action(async (file: string | undefined, options: VerifyOptions) => {
      try {
        const result =
          file === undefined ? await verifyServer(needs, options) : await verifyFile(needs, file, options)
        if (!result.report.verified) answer(exitNegative)
        if (options.json) terminal.json({ source: result.source, head: result.head, ...result.report })
        else terminal.write(reportText(needs, result))
      } catch (error) {
        // A chain so damaged that it cannot even be walked is an answer as well: it does not verify.
        if (!(error instanceof AppError) || error.code !== 'audit.broken') throw error
        answer(exitNegative)
        if (options.json) terminal.json({ verified: false, problem: problemOf(error) })
        else terminal.note(failureLine(error))
      }
    })
}

type Result = { source: string; head: AuditHead; report: VerifyReport; keyTrusted: boolean }

async function verifyFile({ cwd }: Needs, file: string, options: VerifyOptions): Promise<Result> {
  const path = resolve(cwd, file)
  const publicKey = await trustedKey(options, cwd)
  const head = await exportedHead(path)
  const report = await verifyAudit({ entries: exportedEntries(path), head, publicKey })
  return { source: path, head, report, keyTrusted: publicKey !== undefined }
}

async function verifyServer(needs: Needs, options: VerifyOptions): Promise<Result> {
  const client = await connect(needs, options)
  const heads = createRememberedHeads(needs.env)
  if (options.forget) await heads.forget(client.address)
  const known = await heads.get(client.address)
  const publicKey = (await trustedKey(options, needs.cwd)) ?? known?.publicKey
  const head = await client.call(api.audit.head, {})
  const entries = entriesUpTo(client, head)
  const report = await verifyAudit({ entries, head, publicKey, known: known ? [known] : [] })
  if (report.verified) await heads.keep(client.address, head)
  return { source: client.address, head, report, keyTrusted: publicKey !== undefined }
}

const trustedKey = async ({ key }: VerifyOptions, cwd: string): Promise<string | undefined> =>
  key === undefined ? undefined : readFile(resolve(cwd, key), 'utf8')

function reportText({ terminal }: Needs, { source, head, report, keyTrusted }: Result): string {
  const { verified, entries, firstAt, lastAt, problems, problemCount } = report
  const verdict = verified ? terminal.tint('green', 'verified') : terminal.tint('red', 'NOT verified')
  const facts = renderFacts([
    ['Source', source],
    ['Entries', entries === 0 ? 0 : `${entries}, ${firstAt} to ${lastAt}`],
    ['Head', `${head.seq} ${head.hash}`],
    ['Signed', `${head.at}, ${keyTrusted ? 'by the key that you trust' : 'by the key that it names itself'}`],
  ])
  const lines = problems.map(({ seq, kind, detail }) => `  ${seq} ${kind}: ${detail}\n`).join('')
  const more = problemCount > problems.length ? `  and ${problemCount - problems.length} more\n` : ''
  return `${facts}${verdict}\n${lines}${more}`
}

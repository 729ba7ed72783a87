import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { api, type BackupStatus } from '@keyward/contract'
import { type Command, InvalidArgumentError } from 'commander'
import { AppError, Secret } from '../../core/index.ts'
import { type CommonOptions, commandGroup, localCommand, serverCommand, wholeNumber } from '../command.ts'
import { connect } from '../connect.ts'
import { exitNegative } from '../exit-code.ts'
import { shortTime } from '../lists.ts'
import type { BackupReport } from '../main-port.ts'
import type { CommandNeeds } from '../needs.ts'
import { dataFolder } from '../places.ts'
import { readPrivateFile, writePrivateFile } from '../private-file.ts'
import { type Column, renderFacts, renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'cwd' | 'loadMain' | 'answer'>
type Item = BackupStatus['items'][number]

export const backupCommand = (needs: Needs): Command =>
  commandGroup('backup', 'Encrypted backups: make, verify, restore', [
    keyCommand(needs),
    configureCommand(needs),
    createCommand(needs),
    listCommand(needs),
    verifyCommand(needs),
    restoreCommand(needs),
  ])

function keyCommand({ terminal, cwd, loadMain }: Needs): Command {
  return localCommand({
    usage: 'key',
    summary: 'Make the key that opens backups',
    details:
      'The file is what a restore needs: keep it away from the server, and a copy of it somewhere else. The server needs\n' +
      'the recipient alone, which is not secret and opens nothing. Keys of the age command work too.',
    examples: ['keyward backup key --out keyward-backup.key'],
  })
    .requiredOption('--out <file>', 'where to write it; a file that exists is refused')
    .action(async ({ out, json }: { out: string; json?: boolean }) => {
      const path = resolve(cwd, out)
      if ((await readFile(path).catch(() => undefined)) !== undefined)
        throw new AppError('request.invalid', `${path} exists. It may be the key of older backups`)
      const { identity, recipient } = await (await loadMain()).newBackupKey()
      await writePrivateFile(
        path,
        `# opens backups of Keyward; recipient: ${recipient}\n${identity.reveal()}\n`,
      )
      if (json) return terminal.json({ file: path, recipient })
      terminal.write(`${recipient}\n`)
      terminal.note(`The key is in ${path}. Next: keyward backup configure --recipient ${recipient}`)
    })
}

type ConfigureOptions = CommonOptions & {
  readonly recipient?: string[]
  readonly every?: number | null
  readonly keep?: number
  readonly folder?: string
  readonly unsealKey?: boolean
}

function configureCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'configure',
    summary: 'For whom backups are encrypted, where they go, how often and how many',
    details: 'What is not given stays as it is.',
    examples: [
      'keyward backup configure --recipient age1… --every 24h --keep 14',
      'keyward backup configure --every never',
    ],
  })
    .option('--recipient <age1…>', 'public key; give it again for several', collect)
    .option('--every <time>', '6h, 24h, 7d, or never', interval)
    .option('--keep <n>', 'how many are kept', wholeNumber(1, 1000))
    .option('--folder <path>', 'on the server (default: backups in its data folder)')
    .option('--unseal-key', 'the file that opens the vault goes into the backup (default)')
    .option('--no-unseal-key', 'it does not: keep it in another place')
    .action(async ({ recipient, every, keep, folder, unsealKey, ...options }: ConfigureOptions) => {
      const client = await connect(needs, options)
      const { settings } = await client.call(api.backups.list, {})
      const next = {
        recipients: recipient ?? settings.recipients,
        everySeconds: every === undefined ? settings.everySeconds : every,
        keep: keep ?? settings.keep,
        folder: folder ?? settings.folder,
        unsealKey: unsealKey ?? settings.unsealKey,
      }
      await client.call(api.backups.configure, next)
      if (options.json) return terminal.json(next)
      terminal.write(renderFacts(factsOf(next)))
    })
}

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value]

const units: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400 }

function interval(text: string): number | null {
  if (text === 'never') return null
  const [, count, unit = ''] = /^(\d{1,5})([mhd])$/.exec(text) ?? []
  if (count === undefined) throw new InvalidArgumentError('Write 6h, 24h, 7d, or never.')
  return Number(count) * (units[unit] ?? 0)
}

function factsOf(settings: BackupStatus['settings']): [string, string | number][] {
  const { recipients, everySeconds, keep, folder, unsealKey } = settings
  return [
    ['Recipients', recipients.join(', ') || 'none yet'],
    ['Every', everySeconds === null ? 'never' : `${everySeconds / 3600} h`],
    ['Keep', keep],
    ['Folder', folder],
    ['Unseal key', unsealKey ? 'in the backup' : 'left out'],
  ]
}

function createCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'create',
    summary: 'Write a backup now, while the server runs',
    examples: ['keyward backup create'],
  }).action(async (options: CommonOptions) => {
    const made = await (await connect(needs, options)).call(api.backups.create, {})
    if (options.json) return terminal.json(made)
    terminal.write(`${made.folder}/${made.name}\n`)
    terminal.note(`${made.bytes} bytes, SHA-256 ${made.sha256}`)
  })
}

function listCommand(needs: Needs): Command {
  const { terminal, answer } = needs
  const columns: Column<Item>[] = [
    { title: 'at', value: ({ startedAt }) => shortTime(startedAt) },
    {
      title: 'state',
      value: ({ state }) => state,
      paint: (text, { state }) => terminal.tint(state === 'done' ? 'green' : 'red', text),
    },
    { title: 'bytes', value: ({ bytes }) => bytes, align: 'right' },
    { title: 'file', value: ({ folder, name }) => `${folder}/${name}` },
    { title: 'reason', value: ({ reason }) => reason, shrink: true },
  ]
  return serverCommand({
    usage: 'list',
    summary: 'Backups that were made, and how they are made; exit code 1 when they are failing',
    examples: ['keyward backup list'],
  }).action(async (options: CommonOptions) => {
    const status = await (await connect(needs, options)).call(api.backups.list, {})
    if (status.state === 'failing') answer(exitNegative)
    if (options.json) return terminal.json(status)
    terminal.write(renderFacts([['State', status.state], ...factsOf(status.settings)]))
    if (status.items.length > 0) terminal.write(`\n${renderTable(columns, status.items, terminal.columns)}`)
  })
}

type OpenOptions = { readonly identity: string; readonly json?: boolean }

function verifyCommand({ terminal, cwd, loadMain }: Needs): Command {
  return localCommand({
    usage: 'verify <file>',
    summary: 'Prove a backup without restoring it',
    details:
      'Reads and decrypts all of it: every digest, and every entry of the audit log up to the signed head.',
    examples: ['keyward backup verify keyward-2026-01-02.backup.age --identity keyward-backup.key'],
  })
    .requiredOption('--identity <file>', 'the key that opens it')
    .action(async (file: string, { identity, json }: OpenOptions) => {
      const identities = await identitiesIn(resolve(cwd, identity))
      const report = await (await loadMain()).verifyBackup({ file: resolve(cwd, file), identities })
      if (json) return terminal.json({ verified: true, ...report })
      terminal.write(renderFacts(reportFacts(report)))
    })
}

function restoreCommand({ terminal, env, cwd, loadMain }: Needs): Command {
  return localCommand({
    usage: 'restore <file>',
    summary: 'Put a backup into an empty data folder, or an empty PostgreSQL database',
    details:
      'The server must not run. The backup is proved first, then restored as a whole or not at all. KEYWARD_DATABASE_URL\n' +
      'names a PostgreSQL to restore into, also when the backup comes from the embedded database.',
    examples: [
      'keyward backup restore keyward-2026-01-02.backup.age --identity keyward-backup.key',
      'keyward backup restore last.backup.age --identity keyward-backup.key --data /var/lib/keyward --replace',
    ],
  })
    .requiredOption('--identity <file>', 'the key that opens it')
    .option('--data <folder>', 'data folder (default: $KEYWARD_DATA or ~/.local/share/keyward)')
    .option('--replace', 'move what is in the data folder aside, into a folder in it')
    .action(async (file: string, options: OpenOptions & { data?: string; replace?: boolean }) => {
      const databaseUrl = env['KEYWARD_DATABASE_URL']
      const identities = await identitiesIn(resolve(cwd, options.identity))
      const dataDir = resolve(cwd, dataFolder(env, options.data))
      const report = await (await loadMain()).runRestore({
        file: resolve(cwd, file),
        identities,
        dataDir,
        replace: options.replace ?? false,
        ...(databaseUrl ? { databaseUrl } : {}),
      })
      if (options.json) return terminal.json({ restored: true, dataDir, ...report })
      terminal.write(renderFacts(reportFacts(report)))
      terminal.note(`Restored into ${dataDir}. Start it: keyward server`)
    })
}

async function identitiesIn(path: string): Promise<Secret> {
  const text = await readPrivateFile(path)
  if (text === undefined) throw new AppError('request.invalid', `${path} does not exist. Correct --identity`)
  return new Secret(text)
}

function reportFacts({ createdAt, program, dialect, tables, audit, hasUnsealKey }: BackupReport) {
  const rows = Object.values(tables).reduce((sum, table) => sum + table.rows, 0)
  return [
    ['Made', `${createdAt} by Keyward ${program} on ${dialect}`],
    ['Rows', `${rows} in ${Object.keys(tables).length} tables`],
    [
      'Audit log',
      `${audit.entries} entries, ${audit.signed ? 'signed' : 'not signed: the vault was sealed'}`,
    ],
    ['Last hash', audit.lastHash],
    ['Unseal key', hasUnsealKey ? 'in it' : 'not in it: put it into the data folder'],
  ] as const
}

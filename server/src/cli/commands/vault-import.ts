import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { AppError, Secret } from '../../core/index.ts'
import { refuseClearText, serverAddress } from '../address.ts'
import { type CommonOptions, serverCommand } from '../command.ts'
import { createCredentials } from '../credentials.ts'
import { exitNegative } from '../exit-code.ts'
import type { CommandNeeds } from '../needs.ts'
import type { Environment } from '../places.ts'
import { readPrivateFile } from '../private-file.ts'
import { type Column, renderTable } from '../table.ts'
import { createVaultApi } from '../vault-import/api.ts'
import type { Conflict, ImportReport, Item, Outcome } from '../vault-import/report.ts'
import { importVault } from '../vault-import/vault-import.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'cwd' | 'answer'>
type ImportOptions = CommonOptions & {
  readonly from: string
  readonly tokenFile?: string
  readonly namespace?: string
  readonly mount?: string[]
  readonly conflict: Conflict
  readonly dryRun?: boolean
}

export function importCommand(needs: Needs): Command {
  const { terminal, env, cwd, answer } = needs
  return serverCommand({
    usage: 'import',
    summary: 'Take over what a HashiCorp Vault or OpenBao holds',
    details:
      'Secrets of KV 1 and 2 with their versions, policies, AppRoles with their role ids, and the mounts they need. There it\n' +
      'only reads. The token for it comes from KEYWARD_IMPORT_TOKEN or a file; the one for this server must be a token of\n' +
      'its vault, from KEYWARD_TOKEN. Done again, it goes on where it stopped. Exit code 1 when something was kept or failed.',
    examples: [
      'keyward vault import --from https://vault.internal:8200 --dry-run',
      'keyward vault import --from https://vault.internal:8200 --token-file old.token --mount secret',
    ],
  })
    .requiredOption('--from <url>', 'address of the other vault')
    .option('--token-file <file>', 'its token (default: $KEYWARD_IMPORT_TOKEN)')
    .option('--namespace <path>', 'its namespace')
    .option('--mount <path>', 'this mount only; give it again for several', collect)
    .addOption(
      new Option('--conflict <rule>', 'when the same name holds something else here')
        .choices(['keep', 'replace'])
        .default('keep'),
    )
    .option('--dry-run', 'names only: nothing is written, and no value is read')
    .action(async ({ from, tokenFile, namespace, mount, conflict, dryRun, ...options }: ImportOptions) => {
      const address = serverAddress(env, options.address)
      const theirs = serverAddress({}, from)
      refuseClearText(env, theirs)
      refuseClearText(env, address)
      const report = await importVault({
        source: createVaultApi({ address: theirs, token: await theirToken(env, cwd, tokenFile), namespace }),
        target: createVaultApi({ address, token: await ownToken(env, address) }),
        dryRun: dryRun ?? false,
        conflict,
        only: mount ?? [],
        onItem: ({ outcome, path, detail }) =>
          outcome === 'failed' && terminal.note(`${path}: ${detail ?? 'failed'}`),
      })
      if (report.items.some(({ outcome }) => outcome === 'kept' || outcome === 'failed')) answer(exitNegative)
      if (options.json) return terminal.json(report)
      terminal.write(shown(report, terminal.columns))
      for (const remark of report.remarks) terminal.note(remark)
    })
}

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value]

async function theirToken(env: Environment, cwd: string, file: string | undefined): Promise<Secret> {
  const text = file === undefined ? env['KEYWARD_IMPORT_TOKEN'] : await readPrivateFile(resolve(cwd, file))
  if (text?.trim()) return new Secret(text.trim())
  throw new AppError(
    'request.invalid',
    'the other vault needs a token: set KEYWARD_IMPORT_TOKEN, or give --token-file',
  )
}

async function ownToken(env: Environment, address: string): Promise<Secret> {
  const named = env['KEYWARD_TOKEN']
  const token = named ? new Secret(named) : await createCredentials(env).token(address)
  if (token) return token
  throw new AppError(
    'session.required',
    'set KEYWARD_TOKEN to a token of this vault that may write everything, for example the one in root.token',
  )
}

const columns: readonly Column<Item>[] = [
  { title: 'what', value: ({ kind }) => kind },
  { title: 'path', value: ({ path }) => path },
  { title: 'outcome', value: ({ outcome }) => outcome },
  { title: 'note', value: ({ detail }) => detail, shrink: true },
]

function shown({ items, dryRun }: ImportReport, width: number | undefined): string {
  const noted = dryRun ? items : items.filter(({ outcome, detail }) => outcome === 'kept' || detail)
  const counts = new Map<Outcome, number>()
  for (const { outcome } of items) counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  const totals = [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ') || 'nothing found'
  return `${noted.length > 0 ? `${renderTable(columns, noted, width)}\n` : ''}${totals}\n`
}
